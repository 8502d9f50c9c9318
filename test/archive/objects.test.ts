// How the owner's bucket is used when it fails: what is sent with a put, how often a call is tried,
// and which bytes are taken for the right ones.

import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deleteObjects, readObject, WrongBytes, writeObject } from '../../src/archive/objects.ts'

const BYTES = new TextEncoder().encode('PAR1 and so on')
const hex = (bytes: ArrayBuffer) => Buffer.from(bytes).toString('hex')

/** A bucket whose calls answer what they are told to, one after the other; the last goes on for ever. */
function bucketOf(...answers: (() => Promise<unknown>)[]) {
  const calls: unknown[][] = []
  const call = (...args: unknown[]) => {
    calls.push(args)
    return answers[Math.min(calls.length, answers.length) - 1]!()
  }
  return { calls, bucket: { get: call, put: call, delete: call } as unknown as R2Bucket }
}
const fails = () => Promise.reject(new Error('internal error'))
const hangs = () => new Promise<never>(() => {})
const gives = (value: unknown) => () => Promise.resolve(value)
const body = (bytes: Uint8Array) => gives({ arrayBuffer: async () => bytes.slice().buffer })

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** What a call comes to, however long it waits. */
async function outcome<T>(work: Promise<T>): Promise<T | Error> {
  const settled = work.catch((e: unknown) => e as Error)
  await vi.runAllTimersAsync()
  return settled
}

describe('writeObject', () => {
  it('sends the SHA-256 of the bytes, so that R2 refuses others', async () => {
    const { bucket, calls } = bucketOf(gives(null))
    // The digest is worked out by the platform, beside the clock.
    vi.useRealTimers()
    await writeObject(bucket, 'shop/a.parquet', BYTES)
    const [key, sent, options] = calls[0] as [string, Uint8Array, R2PutOptions]
    expect([key, sent]).toEqual(['shop/a.parquet', BYTES])
    expect(hex(options.sha256 as ArrayBuffer)).toBe(
      createHash('sha256').update(BYTES).digest('hex'),
    )
  })
})

describe('readObject', () => {
  const reads = (name: string, answers: (() => Promise<unknown>)[], expected: unknown, calls = 1) =>
    it(name, async () => {
      const made = bucketOf(...answers)
      expect(await outcome(readObject(made.bucket, 'a', BYTES.length))).toEqual(expected)
      expect(made.calls.length).toBe(calls)
    })

  reads('its bytes', [body(BYTES)], BYTES)
  reads('nothing where there is none', [gives(null)], null)
  reads('again after a failure', [fails, fails, body(BYTES)], BYTES, 3)
  reads('again after no answer', [hangs, body(BYTES)], BYTES, 2)
  reads('again after a body cut short', [body(BYTES.slice(3)), body(BYTES)], BYTES, 2)
  reads('no more than three times', [fails], new Error('internal error'), 3)
  reads('never for ever', [hangs], new Error('the archive did not answer within 10000 ms'), 3)
  reads(
    'no other bytes',
    [body(BYTES.slice(3))],
    new WrongBytes('a has 11 bytes, and was stored with 14'),
    3,
  )
})

describe('deleteObjects', () => {
  it('is one call for many, and again when it failed', async () => {
    const { bucket, calls } = bucketOf(fails, gives(undefined))
    await outcome(deleteObjects(bucket, ['a', 'b']))
    expect(calls).toEqual([[['a', 'b']], [['a', 'b']]])
  })
})
