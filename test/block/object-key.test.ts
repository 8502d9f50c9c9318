import { describe, expect, it } from 'vitest'
import { blockIdOf, folderOf, objectKey, ownsKey } from '../../src/block/object-key.ts'

const tenant = { appId: 'shop', tenantId: '0123456789abcdef0123456789abcdef' }
const place = { ...tenant, day: '2026-01-02', shard: 3, firstSeq: 17, blockId: 5 }
const KEY = 'shop/date=2026-01-02/01234567-3-17-g5.parquet'

describe('the key of an object', () => {
  it('says whose it is, the day received, the shard, the first record and the block', () => {
    expect(objectKey(place)).toBe(KEY)
    expect(KEY.startsWith(folderOf('shop'))).toBe(true)
    expect(blockIdOf(KEY)).toBe(5)
  })

  const owns = (name: string, key: string, is: boolean) =>
    it(`is ${is ? '' : 'not '}the tenant's: ${name}`, () => expect(ownsKey(tenant, key)).toBe(is))
  owns('its own', KEY, true)
  owns('of another app', KEY.replace('shop', 'shoe'), false)
  owns('of an app whose name goes on', KEY.replace('shop', 'shop-2'), false)
  owns('of an app whose name is its start', KEY.replace('shop', 'sho'), false)
  owns('of the app that had the name before', KEY.replace('01234567', 'fedcba98'), false)
  owns('with a longer start', KEY.replace('01234567', '012345678'), false)
  owns('in the folder of another app', `other/${KEY}`, false)
  owns('no file', 'shop/', false)
})
