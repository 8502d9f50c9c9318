// A request's body, decompressed and bounded. Bodies arrive as they were sent, still compressed, and
// come from strangers: bytes are counted while they arrive and again while they are inflated, so
// neither a lie about a length nor a bomb costs more than the bound.

import { gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { IN_FLIGHT_BYTES_MAX, REQUEST_BYTES_MAX } from '../limits.ts'
import { err, ok, type Result } from '../result.ts'

type Inflate = (body: Uint8Array, options: { maxOutputLength: number }) => Uint8Array

/** HTTP's `deflate` is the zlib format (RFC 9110 8.4.1.2). */
const INFLATE: Record<string, Inflate> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  zlib: inflateSync,
  zstd: zstdDecompressSync,
}
const NO_CODING = new Set(['', 'identity'])

/** Bytes of bodies this isolate works on at the moment: all requests share its memory. */
let inFlightBytes = 0

/** Memory reserved for one request; `release` it when its records are encoded. */
export interface Body {
  bytes: Uint8Array
  release: () => void
}

/** Reads, inflates and bounds the body. On success the caller must call `release` once. */
export async function readBody(request: Request): Promise<Result<Body>> {
  const coding = (request.headers.get('content-encoding') ?? '').trim().toLowerCase()
  const inflate = INFLATE[coding]
  if (!inflate && !NO_CODING.has(coding)) {
    const known = Object.keys(INFLATE).join(', ')
    return err(
      'unsupported_encoding',
      `content-encoding ${JSON.stringify(coding.slice(0, 64))} is not supported; send identity, ${known}`,
    )
  }
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > REQUEST_BYTES_MAX) return tooLarge('body')
  const reservation = new Reservation()
  const sent = await readAll(request, reservation)
  if (!sent.ok) {
    reservation.release()
    return sent
  }
  const bytes = inflate ? inflateBounded(inflate, coding, sent.data) : sent
  const isHeld = bytes.ok && reservation.add(inflate ? bytes.data.length : 0)
  if (bytes.ok && isHeld) return ok({ bytes: bytes.data, release: () => reservation.release() })
  reservation.release()
  return bytes.ok ? tooBusy() : bytes
}

class Reservation {
  #bytes = 0
  /** False when the isolate holds too much already; a request alone always gets its share. */
  add(bytes: number): boolean {
    const isFirst = inFlightBytes === this.#bytes
    if (!isFirst && inFlightBytes + bytes > IN_FLIGHT_BYTES_MAX) return false
    this.#bytes += bytes
    inFlightBytes += bytes
    return true
  }
  release(): void {
    inFlightBytes -= this.#bytes
    this.#bytes = 0
  }
}

async function readAll(request: Request, reservation: Reservation): Promise<Result<Uint8Array>> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length
      // Leaving the loop cancels the stream: the rest is not read.
      if (length > REQUEST_BYTES_MAX) return tooLarge('body')
      if (!reservation.add(chunk.length)) return tooBusy()
      chunks.push(chunk)
    }
  } catch (e) {
    return err('bad_request', `the body broke off after ${length} bytes: ${(e as Error).message}`)
  }
  if (chunks.length === 1) return ok(chunks[0]!)
  const body = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.length
  }
  return ok(body)
}

function inflateBounded(inflate: Inflate, coding: string, sent: Uint8Array): Result<Uint8Array> {
  try {
    return ok(inflate(sent, { maxOutputLength: REQUEST_BYTES_MAX }))
  } catch (e) {
    const { code, message } = e as { code?: string; message?: string }
    // Node's code for output beyond maxOutputLength; workerd says "Memory limit exceeded" for some codings.
    if (code === 'ERR_BUFFER_TOO_LARGE' || /memory limit|larger than/i.test(message ?? '')) {
      return tooLarge('decompressed body')
    }
    return err('bad_request', `the body is not valid ${coding}: ${message}`)
  }
}

const tooLarge = (what: string) =>
  err('too_large', `the ${what} is larger than ${REQUEST_BYTES_MAX} bytes; send smaller batches`, {
    max: REQUEST_BYTES_MAX,
  })

const tooBusy = () =>
  err(
    'overloaded',
    `more than ${IN_FLIGHT_BYTES_MAX} bytes of requests are being worked on; retry in a second`,
  )
