// A request's body, decompressed and bounded. Bodies arrive as they were sent, still compressed, and
// come from strangers: bytes are counted while they arrive and again while they are inflated, so
// neither a lie about a length nor a bomb costs more than the bound.

import { gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { concatBytes } from '../bytes.ts'
import { uncompressSnappy } from '../ingest/snappy.ts'
import {
  BODY_READ_MS_MAX,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_BYTES_PER_APP_MAX,
  REQUEST_BYTES_MAX,
} from '../limits.ts'
import { err, ok, type Result } from '../result.ts'

/** With `info` these also tell how much of the input they took. */
interface Inflated {
  buffer: Uint8Array
  engine: { bytesWritten: number }
}
interface InflateOptions {
  chunkSize: number
  maxOutputLength: number
  info: true
}
type Inflate = (body: Uint8Array, options: InflateOptions) => unknown

/** HTTP's `deflate` is the zlib format (RFC 9110 8.4.1.2). */
const INFLATE = new Map<string, Inflate>([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['zlib', inflateSync],
  ['zstd', zstdDecompressSync],
])
const NO_CODING = new Set(['', 'identity'])

/** What Loki's senders call deflate has no frame: Go's package of that name makes it. */
const inflateEither: Inflate = (body, options) =>
  isZlib(body) ? inflateSync(body, options) : inflateRawSync(body, options)
const INFLATE_OF_LOKI = new Map<string, Inflate>([...INFLATE, ['deflate', inflateEither]])

/** Deflate, a window within its bounds, and a checksum of both bytes (RFC 1950 2.2). */
const isZlib = ([method = 0, flags = 0]: Uint8Array) =>
  (method & 15) === 8 && method >> 4 <= 7 && (method * 256 + flags) % 31 === 0

/** Bytes of bodies this isolate works on at the moment, in all and by app: all share its memory. */
let inFlightBytes = 0
const inFlightByApp = new Map<string, number>()

/** Memory reserved for one request; `release` it when its records are encoded. */
export interface Body {
  bytes: Uint8Array
  release: () => void
}

/**
 * Where snappy's block format is known: at no other door than Loki's, which says so by
 * `content-encoding: snappy` or, of protobuf, by its media type alone (and `gzip` is then around it).
 */
export type Snappy = 'unknown' | 'coding' | 'always'

/** Reads, inflates and bounds the body. On success the caller must call `release` once. */
export async function readBody(
  request: Request,
  appId: string,
  snappy: Snappy = 'unknown',
): Promise<Result<Body>> {
  const coding = (request.headers.get('content-encoding') ?? '').trim().toLowerCase()
  const codings = snappy === 'unknown' ? INFLATE : INFLATE_OF_LOKI
  const inflate = codings.get(coding)
  const isSnappy = snappy !== 'unknown' && coding === 'snappy'
  if (!inflate && !isSnappy && !NO_CODING.has(coding)) {
    const known = [...codings.keys(), ...(snappy === 'unknown' ? [] : ['snappy'])].join(', ')
    return err(
      'unsupported_encoding',
      `content-encoding ${JSON.stringify(coding.slice(0, 64))} is not supported; send identity, ${known}`,
    )
  }
  const declared = Number(request.headers.get('content-length') ?? 0)
  if (declared > REQUEST_BYTES_MAX) return tooLarge('body')
  const reservation = new Reservation(appId)
  const sent = await readAll(request, declared, reservation)
  if (!sent.ok) {
    reservation.release()
    return sent
  }
  const inflated = inflate ? inflateBounded(inflate, coding, sent.data) : sent
  const bytes =
    inflated.ok && (isSnappy || snappy === 'always')
      ? uncompressSnappy(inflated.data, REQUEST_BYTES_MAX)
      : inflated
  const isHeld = bytes.ok && reservation.add(bytes.data === sent.data ? 0 : bytes.data.length)
  if (bytes.ok && isHeld) return ok({ bytes: bytes.data, release: () => reservation.release() })
  reservation.release()
  return bytes.ok ? tooBusy() : bytes
}

class Reservation {
  readonly #appId: string
  #bytes = 0

  constructor(appId: string) {
    this.#appId = appId
  }

  /**
   * False when the isolate holds too much already. A request alone always gets its share, and one
   * app never gets all, so that slow senders of one cannot shut the others out.
   */
  add(bytes: number): boolean {
    const ofApp = inFlightByApp.get(this.#appId) ?? 0
    const isAlone = ofApp === this.#bytes
    if (inFlightBytes !== this.#bytes && inFlightBytes + bytes > IN_FLIGHT_BYTES_MAX) return false
    if (!isAlone && ofApp + bytes > IN_FLIGHT_BYTES_PER_APP_MAX) return false
    this.#count(bytes)
    return true
  }

  release(): void {
    this.#count(-this.#bytes)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    inFlightBytes += bytes
    const ofApp = (inFlightByApp.get(this.#appId) ?? 0) + bytes
    if (ofApp === 0) inFlightByApp.delete(this.#appId)
    else inFlightByApp.set(this.#appId, ofApp)
  }
}

/** Bodies up to here are read in one call: chunk by chunk took 4 % of the time of a request. */
const SMALL_BYTES_MAX = 256 * 1024

async function readSmall(
  request: Request,
  declared: number,
  reservation: Reservation,
): Promise<Result<Uint8Array>> {
  if (!reservation.add(declared)) return tooBusy()
  let deadline: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((resolve) => {
    deadline = setTimeout(() => resolve(null), BODY_READ_MS_MAX)
  })
  try {
    const body = await Promise.race([request.arrayBuffer(), late])
    if (body === null) return slow()
    return body.byteLength <= REQUEST_BYTES_MAX ? ok(new Uint8Array(body)) : tooLarge('body')
  } catch (e) {
    return err('bad_request', `the body broke off: ${(e as Error).message}`)
  } finally {
    clearTimeout(deadline)
  }
}

async function readAll(
  request: Request,
  declared: number,
  reservation: Reservation,
): Promise<Result<Uint8Array>> {
  if (declared > 0 && declared <= SMALL_BYTES_MAX) return readSmall(request, declared, reservation)
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  if (!reader) return ok(new Uint8Array())
  let isLate = false
  const deadline = setTimeout(() => {
    isLate = true
    void reader.cancel().catch(() => {})
  }, BODY_READ_MS_MAX)
  const stop = <T>(result: T): T => {
    void reader.cancel().catch(() => {})
    return result
  }
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (isLate) return slow()
      if (done) break
      length += value.length
      if (length > REQUEST_BYTES_MAX) return stop(tooLarge('body'))
      if (!reservation.add(value.length)) return stop(tooBusy())
      chunks.push(value)
    }
  } catch (e) {
    if (isLate) return slow()
    return err('bad_request', `the body broke off after ${length} bytes: ${(e as Error).message}`)
  } finally {
    clearTimeout(deadline)
  }
  return ok(chunks.length === 1 ? chunks[0]! : concatBytes(chunks))
}

/**
 * Inflates all that was sent, or none. zstd allows frame after frame (RFC 8878 3.1) and the library
 * reads one a call; whatever else follows the compressed data means the body is not what it says.
 */
function inflateBounded(inflate: Inflate, coding: string, sent: Uint8Array): Result<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for (let at = 0; at < sent.length || parts.length === 0; ) {
      const options = {
        chunkSize: chunkBytesOf(sent.length - at),
        maxOutputLength: Math.max(REQUEST_BYTES_MAX - length, 1),
        info: true,
      } as const
      const { buffer, engine } = inflate(sent.subarray(at), options) as Inflated
      if (engine.bytesWritten === 0) return notThat(coding, 'it ends too early')
      at += engine.bytesWritten
      if (at < sent.length && coding !== 'zstd') return notThat(coding, 'bytes follow its end')
      length += buffer.length
      if (length > REQUEST_BYTES_MAX) return tooLarge('decompressed body')
      parts.push(buffer)
    }
  } catch (e) {
    const { code, message } = e as { code?: string; message?: string }
    // Node's code for output beyond maxOutputLength; workerd says "Memory limit exceeded" for some codings.
    if (code === 'ERR_BUFFER_TOO_LARGE' || /memory limit|larger than/i.test(message ?? '')) {
      return tooLarge('decompressed body')
    }
    return notThat(coding, message ?? '')
  }
  return ok(parts.length === 1 ? parts[0]! : concatBytes(parts))
}

/** Room for what logs usually inflate to: with the default of 16 KiB it takes a dozen calls. */
const chunkBytesOf = (sent: number) =>
  Math.min(Math.max(sent * INFLATED_TIMES, 16 * 1024), 1024 * 1024)
const INFLATED_TIMES = 8

const notThat = (coding: string, why: string) =>
  err('bad_request', `the body is not valid ${coding}: ${why}`)

/** 503, because exporters repeat only that: a slow line may be faster in a minute. */
const slow = () =>
  err('unavailable', `the body was not complete after ${BODY_READ_MS_MAX / 1000} s`)

const tooLarge = (what: string) =>
  err('too_large', `the ${what} is larger than ${REQUEST_BYTES_MAX} bytes; send smaller batches`, {
    max: REQUEST_BYTES_MAX,
  })

const tooBusy = () =>
  err(
    'overloaded',
    `more than ${IN_FLIGHT_BYTES_MAX} bytes of requests are being worked on; retry in a second`,
  )
