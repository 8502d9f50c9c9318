// The document against the specification's own schema, and bodies against what validates them. In Node,
// because the validator makes code.

import { Validator as Specification } from '@seriousme/openapi-schema-validator'
import { describe, expect, it } from 'vitest'
import { NewAppBody, NewKeyBody } from '../src/api/admin-routes.ts'
import { DeleteBody, FlushBody, PruneBody } from '../src/api/data-routes.ts'
import { docsPage, SEARCHES } from '../src/api/docs-page.ts'
import { openapiDocument } from '../src/api/openapi.ts'
import { parseSearch } from '../src/query/search.ts'
import { SettingsBody } from '../src/tenant/settings.ts'
import { wrongIn } from './described.ts'

const document = openapiDocument('0.0.0')

describe('the OpenAPI document', () => {
  it('is valid by the schema of OpenAPI 3.1', async () => {
    const specification = new Specification()
    const result = await specification.validate(JSON.parse(JSON.stringify(document)))
    expect(result).toMatchObject({ valid: true })
    expect(specification.version).toBe('3.1')
  })

  it('is told from one that is not', async () => {
    const { info: _, ...rest } = JSON.parse(JSON.stringify(document))
    expect(await new Specification().validate(rest)).toMatchObject({ valid: false })
  })
})

describe('the searches that /docs shows', () => {
  for (const [search] of SEARCHES) {
    it(search, () => expect(parseSearch(search)).toMatchObject({ ok: true }))
  }

  it('stand on the page as they are written', () => {
    const page = docsPage(document, 'http://logs.test')
    expect(page).toContain('<code>message:/took \\d+ ms$/</code>')
    expect(page).toContain('<code>&quot;upstream timeout&quot;</code>')
  })
})

describe('bodies', () => {
  const BODIES = {
    CreateAppBody: NewAppBody,
    CreateKeyBody: NewKeyBody,
    ChangeSettingsBody: SettingsBody,
    DeleteRecordsBody: DeleteBody,
    PruneRecordsBody: PruneBody,
    FlushBody,
  }
  /** Taken, or refused, by the door and by the document alike. */
  const both = (name: keyof typeof BODIES, body: unknown, isTaken: boolean) =>
    it(`${name} ${isTaken ? 'takes' : 'refuses'} ${JSON.stringify(body)}`, () => {
      expect(BODIES[name].safeParse(body).success).toBe(isTaken)
      const wrong = wrongIn({ $ref: `#/components/schemas/${name}` }, body)
      expect(wrong.length === 0, wrong.join('\n')).toBe(isTaken)
    })

  both('CreateAppBody', { app_id: 'a' }, true)
  both('CreateAppBody', { app_id: 'A' }, false)
  both('CreateAppBody', { app_id: 'a', shards: 64, location_hint: 'weur' }, true)
  both('CreateAppBody', { app_id: 'a', shards: 65 }, false)
  both('CreateAppBody', { app_id: 'a', location_hint: 'mars' }, false)
  both('CreateAppBody', { app_id: 'a', colour: 'red' }, false)
  both('CreateAppBody', {}, false)
  both('CreateKeyBody', { role: 'read', workspace_id: 'w', expires_at: 1 }, true)
  both('CreateKeyBody', { role: 'root' }, false)
  both('ChangeSettingsBody', { retention: [{ filter: { level: 'debug' }, days: 3 }] }, true)
  both('ChangeSettingsBody', { retention: [{ days: 0 }] }, false)
  both('ChangeSettingsBody', { columns: { user_id: ['uid'] } }, true)
  both('ChangeSettingsBody', { columns: { trace_id: ['tid'] } }, false)
  both('DeleteRecordsBody', { filter: { q: 'a', 'attr.x': 1 }, confirm: 'all' }, true)
  both('DeleteRecordsBody', { confirm: 'some' }, false)
  both('PruneRecordsBody', { before: '1d', dry_run: true }, true)
  both('PruneRecordsBody', {}, false)
  both('FlushBody', {}, true)
  both('FlushBody', { older_than: true }, false)

  const filter = (value: unknown, isOne: boolean) =>
    it(`${JSON.stringify(value)} is ${isOne ? 'a' : 'no'} filter`, () => {
      const wrong = wrongIn({ $ref: '#/components/schemas/RecordFilter' }, value)
      expect(wrong.length === 0).toBe(isOne)
    })
  filter({ level: '>=warn', 'attr.code': 200 }, true)
  filter({ limit: 5 }, false)
  filter({ level: ['warn'] }, false)
  filter('level=warn', false)
})
