// The owner's bucket, as shards and readers use it: whole objects, each call retried a few times and
// given up visibly. R2 may fail, be slow, cut a body short, or answer an error to a put that landed;
// whatever it does, nothing here takes wrong bytes for right ones.

/** Attempts at one call, and the pause before the second; later ones double. */
const ATTEMPTS = 3
const PAUSE_MS = 100
const ANSWER_MS_MAX = 10_000

/** The bytes are not those that were stored: too few or too many. Trying again did not help. */
export class WrongBytes extends Error {}

/** An object's bytes, which must be `size` many; null: there is no such object. */
export function readObject(
  bucket: R2Bucket,
  key: string,
  size: number,
): Promise<Uint8Array | null> {
  return tried(async () => {
    const object = await bucket.get(key)
    if (object === null) return null
    const bytes = new Uint8Array(await object.arrayBuffer())
    if (bytes.length === size) return bytes
    throw new WrongBytes(`${key} has ${bytes.length} bytes, and was stored with ${size}`)
  })
}

/** Stores an object; R2 refuses it if other bytes arrive than were sent. Repeating it is harmless. */
export async function writeObject(bucket: R2Bucket, key: string, bytes: Uint8Array): Promise<void> {
  const sha256 = await crypto.subtle.digest('SHA-256', bytes)
  const options = { sha256, httpMetadata: { contentType: 'application/vnd.apache.parquet' } }
  await tried(() => bucket.put(key, bytes, options))
}

/** Keys that R2 deletes in one call. */
export const DELETE_KEYS_MAX = 1000

/** Removes objects, those that are there: all of them, or it throws and some may be left. */
export async function deleteObjects(bucket: R2Bucket, keys: string[]): Promise<void> {
  await tried(() => bucket.delete(keys))
}

async function tried<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await within(ANSWER_MS_MAX, call())
    } catch (e) {
      // Every failure of R2 may be over the next moment; the last one is the caller's.
      if (attempt === ATTEMPTS) throw e
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * 2 ** (attempt - 1)))
    }
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the archive did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
