/// <reference types="@cloudflare/vitest-plugin/types" />
// A registry of its own per test, with shards that do as they are told.

import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { Env } from '../../src/env.ts'
import { makeKey, type RegistrySurface } from '../../src/tenant/keys.ts'
import type { KeyCopy, NewApp, NewKey, Registry } from '../../src/tenant/registry.ts'

/** What shards were told, in order, and which of them do not answer. */
export interface Shards {
  told: { shard: number; tenantId: string; copy: KeyCopy | 'destroy' }[]
  silent: Set<number>
  /** Called before a shard confirms; a promise holds it up. */
  before: (shard: number) => Promise<void>
}

export interface Fixture {
  registry: RegistrySurface
  shards: Shards
  inside: <T>(f: (registry: Registry, state: DurableObjectState) => T | Promise<T>) => Promise<T>
}

/** Without an archive, unless it is given one. */
export async function registryNamed(name: string, archive?: R2Bucket): Promise<Fixture> {
  const stub = (env as Env).REGISTRY.getByName(name)
  const shards: Shards = { told: [], silent: new Set(), before: async () => {} }
  const inside: Fixture['inside'] = (f) => runInDurableObject(stub, f)
  const answer = async (shard: number, tenantId: string, copy: KeyCopy | 'destroy') => {
    await shards.before(shard)
    if (shards.silent.has(shard)) throw new Error('Network connection lost.')
    shards.told.push({ shard, tenantId, copy })
  }
  const LOG_SHARD = {
    getByName(objectName: string) {
      const [tenantId = '', shard] = objectName.split('-')
      return {
        configure: (copy: KeyCopy) => answer(Number(shard), tenantId, copy),
        destroy: () => answer(Number(shard), tenantId, 'destroy'),
      }
    },
  }
  await inside((registry) => {
    Object.assign(registry, { env: { ...env, LOG_SHARD, ARCHIVE: archive } })
  })
  return { registry: stub as unknown as RegistrySurface, shards, inside }
}

export const newApp = (appId: string, shards = 1): NewApp => ({
  appId,
  name: null,
  shards,
  locationHint: null,
})

/** A key as the admin doors send it to the registry. */
export const newKey = (over: Partial<NewKey> = {}): NewKey => {
  const { hashHex, prefix } = makeKey(over.role ?? 'ingest')
  return {
    role: 'ingest',
    name: null,
    workspaceId: null,
    expiresMs: null,
    hashHex,
    prefix,
    ...over,
  }
}

/** The answer's content; a refusal fails the test with its text. */
export function must<T>(result: { ok: true; data: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.data
}
