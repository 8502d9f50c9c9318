// What the doors of administrators share: who may enter, bodies of JSON, the registry's answers.

import type { Context } from 'hono'
import type * as z from 'zod'
import { concatBytes } from '../bytes.ts'
import { ADMIN_BODY_BYTES_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'
import { askRegistry, type RegistrySurface } from '../tenant/keys.ts'
import type { AppRef } from '../tenant/registry.ts'
import type { HonoEnv } from './answer.ts'
import { authenticate, type Caller, scopeOf } from './auth.ts'

/** The app of the path, once the caller is known to administer it. */
export async function enter(c: Context<HonoEnv>, appId: string): Promise<Result<AppRef>> {
  const caller = await authenticate(c.env, c.req.raw.headers, Date.now())
  return caller.ok ? refOf(caller.data, appId) : caller
}

export function refOf(caller: Caller, appId: string | null): Result<AppRef> {
  const scope = scopeOf(caller, { need: 'admin', appId })
  if (!scope.ok) return scope
  return ok({ appId: scope.data, tenantId: caller.grant?.tenant.tenantId ?? null })
}

export async function ask<T>(
  c: Context<HonoEnv>,
  call: (registry: RegistrySurface) => Promise<Result<T>>,
): Promise<Result<T>> {
  const asked = await askRegistry(c.env, call)
  return asked.ok ? asked.data : asked
}

/**
 * A JSON body of the shape asked for; where `isOptional`, no body is `{}`. The media type is not looked
 * at: `curl -d` sends a form's, and nothing but JSON could have been meant.
 */
export async function readBody<T>(
  c: Context<HonoEnv>,
  shape: z.ZodType<T>,
  isOptional = false,
): Promise<Result<T>> {
  const encoding = c.req.header('Content-Encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return err('unsupported_encoding', 'this door takes plain JSON, not compressed')
  }
  const bytes = await readAtMost(c.req.raw.body, ADMIN_BODY_BYTES_MAX)
  if (bytes === null) {
    return err('too_large', `the body has more than ${ADMIN_BODY_BYTES_MAX} bytes`, {
      max: ADMIN_BODY_BYTES_MAX,
    })
  }
  if (isOptional && bytes.length === 0) return shaped(shape, {})
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch (e) {
    // SyntaxError of the JSON, TypeError of the UTF-8: both are the sender's.
    return err('bad_json', `the body is not JSON: ${(e as Error).message}`)
  }
  return shaped(shape, value)
}

/** A foreign value of the shape asked for, or what is wrong with it. */
export function shaped<T>(shape: z.ZodType<T>, value: unknown): Result<T> {
  const parsed = shape.safeParse(value)
  if (parsed.success) return ok(parsed.data)
  const problems = parsed.error.issues.map((issue) => {
    const path = issue.path.join('.')
    return path === '' ? issue.message : `${path}: ${issue.message}`
  })
  return err('bad_request', problems.join('; '), { problems })
}

/** Null when there is more; what is over is not read. */
export async function readAtMost(
  body: ReadableStream | null,
  max: number,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > max) return null
    chunks.push(chunk)
  }
  return concatBytes(chunks)
}

export function mapped<A, B>(result: Result<A>, change: (data: A) => B): Result<B> {
  return result.ok ? ok(change(result.data)) : result
}
