// A request's body: what it may be coded in, how large and slow it may be, and how much of them an
// isolate holds at once - and that it lets go of all of it again.

import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Body, readBody } from '../../src/api/body.ts'
import {
  BODY_READ_MS_MAX,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_BYTES_PER_APP_MAX,
  REQUEST_BYTES_MAX,
} from '../../src/limits.ts'
import { makeApp, messagesOf, postLogs, postOtlp } from '../flow/client.ts'

const MIB = 1 << 20
const TEXT = '{"message":"hello"}'

const requestOf = (body: BodyInit, headers: Record<string, string> = {}) =>
  new Request('http://logs.test/logs', { method: 'POST', body, headers })

const held: Body[] = []
afterEach(() => {
  for (const { release } of held.splice(0)) release()
})

/** Reads a body and keeps it, as a request that is being worked on does; the code of its refusal. */
async function hold(appId: string, body: BodyInit, headers: Record<string, string> = {}) {
  const read = await readBody(requestOf(body, headers), appId)
  if (read.ok) held.push(read.data)
  return read.ok ? 'held' : read.error.code
}

/** That nothing is reserved: two apps together get all there is, to the byte. */
async function expectNothingHeld() {
  const rest = new Uint8Array(IN_FLIGHT_BYTES_MAX - 16 * MIB)
  expect(await hold('idle-a', new Uint8Array(16 * MIB))).toBe('held')
  expect(await hold('idle-b', rest)).toBe('held')
}

describe('a content coding', () => {
  const reads = (name: string, coding: string | null, body: BodyInit) =>
    it(`reads ${name}`, async () => {
      const headers: Record<string, string> = coding === null ? {} : { 'content-encoding': coding }
      const read = await readBody(requestOf(body, headers), 'codings')
      expect(read.ok && new TextDecoder().decode(read.data.bytes)).toBe(TEXT)
      if (read.ok) held.push(read.data)
    })
  const refuses = (
    name: string,
    coding: string,
    body: BodyInit,
    code: string,
    message: string | RegExp,
  ) =>
    it(`refuses ${name}: ${code}`, async () => {
      const read = await readBody(requestOf(body, { 'content-encoding': coding }), 'codings')
      if (read.ok) held.push(read.data)
      expect(read).toMatchObject({ ok: false, error: { code } })
      expect(read.ok || read.error.message).toMatch(message)
      await expectNothingHeld()
    })
  const gzip = gzipSync(TEXT)

  reads('none', null, TEXT)
  reads('identity', 'identity', TEXT)
  reads('gzip', 'gzip', gzip)
  reads('gzip in any case and with spaces', '  GZip ', gzip)
  reads('x-gzip', 'x-gzip', gzip)
  reads('deflate, which is zlib', 'deflate', deflateSync(TEXT))
  reads('zlib', 'zlib', deflateSync(TEXT))

  refuses('a coding we do not know', 'br', gzip, 'unsupported_encoding', '"br" is not supported')
  refuses('stacked codings', 'gzip, gzip', gzipSync(gzip), 'unsupported_encoding', 'gzip, gzip')
  refuses('gzip over identity', 'identity, gzip', gzip, 'unsupported_encoding', 'not supported')
  refuses('a member of every object', 'constructor', TEXT, 'unsupported_encoding', 'constructor')
  refuses('a long name, cut', 'x'.repeat(100), TEXT, 'unsupported_encoding', `"${'x'.repeat(64)}"`)
  refuses('what is not gzip', 'gzip', TEXT, 'bad_request', 'not valid gzip')
  refuses('gzip cut off', 'gzip', gzip.subarray(0, -9), 'bad_request', 'not valid gzip')
  refuses('gzip with a wrong sum', 'gzip', wrongAt(gzip, -8), 'bad_request', 'not valid gzip')
  refuses('gzip and more', 'gzip', Buffer.concat([gzip, Buffer.from('x')]), 'bad_request', /gzip/)
  refuses('an empty body as gzip', 'gzip', '', 'bad_request', 'not valid gzip')
  refuses('deflate without its frame', 'deflate', deflateRawSync(TEXT), 'bad_request', 'deflate')
  refuses('what is not zstd', 'zstd', TEXT, 'bad_request', 'not valid zstd')

  function wrongAt(bytes: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
    const wrong = Uint8Array.from(bytes)
    wrong[wrong.length + at]! ^= 1
    return wrong
  }
})

describe('the size of a body', () => {
  const answers = (name: string, bytes: number, coding: string, code: string) =>
    it(`${name}: ${code}`, async () => {
      const plain = new Uint8Array(bytes)
      const body = coding === 'gzip' ? gzipSync(plain, { level: 1 }) : plain
      expect(await hold('sizes', body, { 'content-encoding': coding })).toBe(code)
      for (const { release } of held.splice(0)) release()
      await expectNothingHeld()
    })

  answers('as sent, at the bound', REQUEST_BYTES_MAX, 'identity', 'held')
  answers('as sent, above it', REQUEST_BYTES_MAX + 1, 'identity', 'too_large')
  answers('inflated, at the bound', REQUEST_BYTES_MAX, 'gzip', 'held')
  answers('inflated, above it', REQUEST_BYTES_MAX + 1, 'gzip', 'too_large')

  it('is refused before it is read when it says itself that it is too large', async () => {
    const body = new ReadableStream({ pull: () => expect.unreachable('the body was read') })
    const request = { body, headers: new Headers({ 'content-length': `${REQUEST_BYTES_MAX + 1}` }) }
    const read = await readBody(request as unknown as Request, 'sizes')
    expect(read).toMatchObject({ error: { code: 'too_large', details: { max: 20 * MIB } } })
  })

  it('is taken as it comes, whatever it says of itself', async () => {
    for (const length of ['1', '0', '300000', 'x']) {
      const read = await readBody(requestOf(TEXT, { 'content-length': length }), 'sizes')
      expect(read.ok && new TextDecoder().decode(read.data.bytes), length).toBe(TEXT)
      if (read.ok) held.push(read.data)
    }
  })
})

describe('bodies in flight', () => {
  it('of several apps are refused above the bound, and taken again once one is done', async () => {
    expect(await hold('a', new Uint8Array(20 * MIB))).toBe('held')
    expect(await hold('b', new Uint8Array(12 * MIB))).toBe('held')
    expect(await hold('c', new Uint8Array(1))).toBe('overloaded')
    held.shift()!.release()
    expect(await hold('c', new Uint8Array(20 * MIB))).toBe('held')
    expect(await hold('c', new Uint8Array(1))).toBe('overloaded')
  })

  it('of one app are refused above its share, while others are taken', async () => {
    expect(await hold('a', new Uint8Array(20 * MIB))).toBe('held')
    const share = IN_FLIGHT_BYTES_PER_APP_MAX - 20 * MIB
    expect(await hold('a', new Uint8Array(share + 1))).toBe('overloaded')
    expect(await hold('a', new Uint8Array(share))).toBe('held')
    expect(await hold('a', new Uint8Array(1))).toBe('overloaded')
    expect(await hold('b', new Uint8Array(MIB))).toBe('held')
  })

  it('alone are taken, though they hold more than the bound while they are inflated', async () => {
    const noise = gzipSync(new Uint8Array(17 * MIB), { level: 0 })
    expect(noise.length + 17 * MIB).toBeGreaterThan(IN_FLIGHT_BYTES_MAX)
    expect(await hold('alone', noise, { 'content-encoding': 'gzip' })).toBe('held')
    expect(await hold('other', 'x')).toBe('overloaded')
  })

  it('count what they inflate to', async () => {
    const small = gzipSync(new Uint8Array(16 * MIB))
    expect(await hold('a', small, { 'content-encoding': 'gzip' })).toBe('held')
    expect(await hold('b', small, { 'content-encoding': 'gzip' })).toBe('overloaded')
    expect(await hold('b', new Uint8Array(15 * MIB))).toBe('held')
  })

  it('let go once, though they are told twice', async () => {
    expect(await hold('a', new Uint8Array(20 * MIB))).toBe('held')
    expect(await hold('b', new Uint8Array(12 * MIB))).toBe('held')
    const [first] = held
    first!.release()
    first!.release()
    expect(await hold('c', new Uint8Array(20 * MIB))).toBe('held')
    expect(await hold('d', 'x')).toBe('overloaded')
  })

  it('that break off are let go', async () => {
    const broken = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(MIB))
        controller.error(new Error('connection reset'))
      },
    })
    expect(await hold('broken', broken)).toBe('bad_request')
    await expectNothingHeld()
  })

  it('are 503 with Retry-After in the protocol of the door, and 200 a moment later', async () => {
    const app = await makeApp('in-flight')
    const post = [
      () => postLogs(app.ingest, { message: 'a' }),
      () => postOtlp(app.ingest, '{"resourceLogs":[]}', { 'content-type': 'application/json' }),
    ]
    expect(await hold('a', new Uint8Array(20 * MIB))).toBe('held')
    expect(await hold('b', new Uint8Array(12 * MIB))).toBe('held')
    for (const send of post) {
      const response = await send()
      expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '1'])
      const answer = (await response.json()) as { code?: number; error?: { code: string } }
      expect(answer.error?.code ?? answer.code).toBe(send === post[0] ? 'overloaded' : 14)
    }
    for (const { release } of held.splice(0)) release()
    for (const send of post) expect((await send()).status).toBe(200)
    expect(await messagesOf(app.read)).toEqual(['a'])
  })

  it('are let go after every answer, good or bad', async () => {
    const app = await makeApp('let-go')
    const json = { 'content-type': 'application/json' }
    const bodies = ['{"resourceLogs":[]}', '{', '"'.repeat(MIB), '[{}]', '{"resourceLogs":7}']
    for (const body of bodies) await postOtlp(app.ingest, body, json)
    await postOtlp(app.ingest, '{}', { ...json, 'idempotency-key': 'k'.repeat(999) })
    await postLogs(app.ingest, [7, { message: 'a' }])
    await expectNothingHeld()
  })
})

describe('a body that does not end', () => {
  /** A body of some bytes and then nothing; `wasCancelled` once its reader gave it up. */
  function endless(first: string) {
    const state = { wasCancelled: false }
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode(first)),
      cancel: () => {
        state.wasCancelled = true
      },
    })
    return { stream, state }
  }

  const gives = (name: string, headers: Record<string, string>, cancels: boolean) =>
    it(`is given up after its time and let go: ${name}`, async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const { stream, state } = endless('{"mess')
        let code = 'pending'
        const holding = hold('slow', stream, headers).then((result) => {
          code = result
        })
        await vi.advanceTimersByTimeAsync(BODY_READ_MS_MAX - 1)
        expect(code).toBe('pending')
        await vi.advanceTimersByTimeAsync(1)
        await holding
        expect(code).toBe('unavailable')
        if (cancels) expect(state.wasCancelled).toBe(true)
        expect(vi.getTimerCount()).toBe(0)
      } finally {
        vi.useRealTimers()
      }
      await expectNothingHeld()
    })

  gives('chunk by chunk', {}, true)
  gives('small as it says', { 'content-length': '20' }, false)

  it('leaves no timer behind when it ends in time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      expect(await hold('quick', TEXT)).toBe('held')
      expect(await hold('quick', TEXT, { 'content-length': `${TEXT.length}` })).toBe('held')
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
