// Registry and shards together: what a revocation and a deletion do where the logs are.

import { env as bound } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import type { Result } from '../../src/result.ts'
import { askRegistry } from '../../src/tenant/keys.ts'
import { must, newApp, newKey } from './registry-fixtures.ts'

const env = bound as Env

async function appWithKeys(appId: string, shards: number, keys: number) {
  const ref = { appId, tenantId: null }
  const made = await askRegistry(env, async (registry) => {
    must(await registry.createApp(newApp(appId, shards)))
    const keyIds: string[] = []
    for (let i = 0; i < keys; i++) {
      keyIds.push(must(await registry.createKey(ref, newKey({ role: 'read' }))).keyId)
    }
    return { tenant: (await registry.tenantForApp(appId))!, keyIds }
  })
  const { tenant, keyIds } = must(made)
  /** What each shard says to a caller with this key: `ok`, or the code of its refusal. */
  const saysTo = (keyId: string | null) =>
    Promise.all(
      Array.from({ length: shards }, async (_, shard) => {
        const stub = env.LOG_SHARD.getByName(`${tenant.tenantId}-${shard}`)
        const reply = (await stub.stats({ keyId, shards })) as Result<unknown>
        return reply.ok ? 'ok' : reply.error.code
      }),
    )
  return { ref, keyIds, saysTo }
}

describe('a shard', () => {
  it('takes a key that was made after it last heard of the keys', async () => {
    const { ref, keyIds, saysTo } = await appWithKeys('flow-new', 2, 1)
    expect(await saysTo(keyIds[0]!)).toEqual(['ok', 'ok'])
    const later = await askRegistry(env, (registry) => registry.createKey(ref, newKey()))
    expect(await saysTo(must(must(later)).keyId)).toEqual(['ok', 'ok'])
  })

  it('refuses a revoked key once that is answered, and takes the others', async () => {
    const { ref, keyIds, saysTo } = await appWithKeys('flow-revoked', 3, 2)
    expect(await saysTo(keyIds[0]!)).toEqual(['ok', 'ok', 'ok'])
    must(must(await askRegistry(env, (registry) => registry.deleteKey(ref, keyIds[0]!))))
    expect(await saysTo(keyIds[0]!)).toEqual(['unauthorized', 'unauthorized', 'unauthorized'])
    expect(await saysTo(keyIds[1]!)).toEqual(['ok', 'ok', 'ok'])
    expect(await saysTo(null)).toEqual(['ok', 'ok', 'ok'])
  })

  it('refuses everyone once its app is deleted, also when the name is taken again', async () => {
    const { ref, keyIds, saysTo } = await appWithKeys('flow-deleted', 2, 1)
    expect(await saysTo(keyIds[0]!)).toEqual(['ok', 'ok'])
    must(must(await askRegistry(env, (registry) => registry.deleteApp(ref))))
    expect(await saysTo(keyIds[0]!)).toEqual(['not_found', 'not_found'])
    await askRegistry(env, (registry) => registry.createApp(newApp('flow-deleted', 2)))
    expect(await saysTo(null)).toEqual(['not_found', 'not_found'])
  })
})
