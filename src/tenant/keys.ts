// Keys, and what one isolate remembers about them.
//
//   wlk_<role>_<43 characters base62: 256 random bits><6 characters base62: CRC-32 of all before>
//
// The prefix lets secret scanners find a leaked key, the checksum lets them (and us, before asking
// anyone) tell a key from something that looks like one. Only its SHA-256 is ever stored.
//
// What is remembered is allowed to be a minute old, because it is not what decides: every shard call
// carries the key's id, and shards hear of a revocation before it is answered. Nothing is remembered
// of admin keys: what they do is rare, and is to reach all the shards there are.

import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Env } from '../env.ts'
import { err, ok, type Result } from '../result.ts'
import type { Grant, Registry, Role, Tenant } from './registry.ts'

const KEPT_MS = 60_000
const UNKNOWN_KEPT_MS = 5_000
/** Entries of each memory, about 500 B each. Unknown keys have their own, so a flood of them evicts no live key. */
const KEPT_MAX = 10_000

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_CHARS = 43
const CHECKSUM_CHARS = 6
const KEY_FORM = /^wlk_(?:ingest|read|admin)_[0-9A-Za-z]{49}$/
/** Characters of the secret that lists show: enough to tell keys apart, 220 bits left to guess. */
const SHOWN_CHARS = 6

export interface MadeKey {
  /** Shown once, never stored. */
  key: string
  hashHex: string
  /** What lists show. */
  prefix: string
}

export function makeKey(role: Role): MadeKey {
  const random = crypto.getRandomValues(new Uint8Array(32))
  const start = `wlk_${role}_`
  const body = start + base62(BigInt(`0x${Buffer.from(random).toString('hex')}`), SECRET_CHARS)
  const key = body + checksumOf(body)
  return { key, hashHex: hashOf(key), prefix: key.slice(0, start.length + SHOWN_CHARS) }
}

/** Whether we could have made this key. No secret decides it, so its time leaks none. */
export function isKeyForm(key: string): boolean {
  if (!KEY_FORM.test(key)) return false
  return checksumOf(key.slice(0, -CHECKSUM_CHARS)) === key.slice(-CHECKSUM_CHARS)
}

export const hashOf = (key: string) => createHash('sha256').update(key).digest('hex')

const checksumOf = (body: string) => base62(BigInt(crc32(body)), CHECKSUM_CHARS)

function base62(value: bigint, chars: number): string {
  let text = ''
  for (let rest = value; text.length < chars; rest /= 62n) text = BASE62[Number(rest % 62n)] + text
  return text
}

interface Kept<T> {
  value: T
  untilMs: number
}
const grants = new Map<string, Kept<Grant>>()
const unknown = new Map<string, Kept<null>>()
const tenants = new Map<string, Kept<Tenant>>()

/** What a key may do; null: unknown, expired or deleted. At most a minute old, `admin` never. */
export async function grantForKey(
  env: Env,
  key: string,
  nowMs: number,
): Promise<Result<Grant | null>> {
  if (!isKeyForm(key)) return ok(null)
  const hash = hashOf(key)
  const known = recall(grants, hash, nowMs)
  if (known) return ok(isExpired(known, nowMs) ? null : known)
  if (recall(unknown, hash, nowMs) === null) return ok(null)

  const asked = await askRegistry(env, (registry) => registry.grantForHash(hash))
  if (!asked.ok) return asked
  const grant = asked.data
  if (grant === null) keep(unknown, hash, { value: null, untilMs: nowMs + UNKNOWN_KEPT_MS })
  else if (isExpired(grant, nowMs)) return ok(null)
  else if (grant.role !== 'admin') {
    keep(grants, hash, { value: grant, untilMs: nowMs + KEPT_MS })
  }
  return asked
}

/** The tenant of an app, for callers without a key. An app that does not exist is asked for each time. */
export async function tenantForApp(
  env: Env,
  appId: string,
  nowMs: number,
): Promise<Result<Tenant | null>> {
  const known = recall(tenants, appId, nowMs)
  if (known) return ok(known)
  const asked = await askRegistry(env, (registry) => registry.tenantForApp(appId))
  if (asked.ok && asked.data !== null) {
    keep(tenants, appId, { value: asked.data, untilMs: nowMs + KEPT_MS })
  }
  return asked
}

/** For when a shard refused: its app is gone, or another has its name by now. */
export function forgetApp(appId: string): void {
  tenants.delete(appId)
  for (const [hash, { value }] of grants) if (value.tenant.appId === appId) grants.delete(hash)
}

/** For when a key was revoked, or a shard does not know it. */
export function forgetKey(keyId: string): void {
  for (const [hash, { value }] of grants) if (value.keyId === keyId) grants.delete(hash)
}

/** The stub by the class's own types: the platform's turn a Result into never, for its `unknown` details. */
export type RegistrySurface = Omit<Registry, keyof DurableObject>

/**
 * Calls the registry. That it cannot be reached, restarts or has too much to do is the platform's
 * everyday, and the caller may try again; anything else it throws is a bug and stays one.
 */
export async function askRegistry<T>(
  env: Env,
  call: (registry: RegistrySurface) => Promise<T>,
): Promise<Result<T>> {
  try {
    return ok(await call(env.REGISTRY.getByName('registry') as unknown as RegistrySurface))
  } catch (e) {
    const failed = e as { overloaded?: boolean; retryable?: boolean; durableObjectReset?: boolean }
    if (failed.overloaded) return err('overloaded', 'the registry has too much to do; try again')
    if (failed.retryable || failed.durableObjectReset) {
      return err('unavailable', 'the registry does not answer; try again')
    }
    throw e
  }
}

const isExpired = (grant: Grant, nowMs: number) =>
  grant.expiresMs !== null && grant.expiresMs <= nowMs

function recall<T>(kept: Map<string, Kept<T>>, name: string, nowMs: number): T | undefined {
  const entry = kept.get(name)
  if (entry === undefined) return undefined
  if (entry.untilMs > nowMs) return entry.value
  kept.delete(name)
  return undefined
}

function keep<T>(kept: Map<string, Kept<T>>, name: string, entry: Kept<T>): void {
  kept.delete(name)
  // A Map lists in order of insertion, so the first is the oldest.
  const oldest = kept.size >= KEPT_MAX ? kept.keys().next() : undefined
  if (oldest !== undefined && !oldest.done) kept.delete(oldest.value)
  kept.set(name, entry)
}
