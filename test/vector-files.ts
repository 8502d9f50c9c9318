// The request bodies of the vectors, as Vite inlines them: the same import works in Node and in
// workerd, where a test has no files. Rows whose bytes are somebody else's are not in this
// repository; they run too where the folder they come from lies beside it.

import type { VectorIndex } from './vectors.ts'

declare global {
  interface ImportMeta {
    glob<T>(
      pattern: string,
      options: { query?: string; import: 'default'; eager: true },
    ): Record<string, T>
  }
}

const ours = import.meta.glob<string>('./fixtures/otlp/*', {
  query: '?url&inline',
  import: 'default',
  eager: true,
})
const beside = import.meta.glob<string>('../../shared/otlp-vectors/*', {
  query: '?url&inline',
  import: 'default',
  eager: true,
})

const bodies = new Map<string, string>()
for (const [path, url] of [...Object.entries(beside), ...Object.entries(ours)]) {
  bodies.set(path.slice(path.lastIndexOf('/') + 1), url)
}

function bytesOf(url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(url.slice(url.indexOf(',') + 1))
  return Uint8Array.from(binary, (char) => char.charCodeAt(0))
}

function indexOf(files: Record<string, string>): VectorIndex {
  const path = Object.keys(files).find((name) => name.endsWith('/index.json'))
  if (path === undefined) return { vectors: [], http: [] }
  return JSON.parse(new TextDecoder().decode(bytesOf(files[path]!)))
}

const index = indexOf(ours)
const known = new Set(index.vectors.map(({ file }) => file))

/** Every row there is. */
export const VECTORS = [
  ...index.vectors,
  ...indexOf(beside).vectors.filter(({ file }) => !known.has(file)),
]
export const HTTP_CASES = index.http

/** The body of a row, as it goes over the wire. */
export function vectorBody(file: string): Uint8Array<ArrayBuffer> {
  const url = bodies.get(file)
  if (url === undefined) throw new Error(`no vector ${file}`)
  return bytesOf(url)
}
