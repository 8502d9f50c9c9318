// The bodies of test/fixtures/loki, as Vite inlines them: the same import works in Node and in workerd.
// How each was made is in its index.json.

/** What a record of a body must be at least, by members of GET /logs and of its metadata. */
export interface LokiRecord {
  resource?: Record<string, string>
  attributes?: Record<string, string>
  [column: string]: unknown
}

export interface LokiFile {
  file: string
  sender: string
  contentType: string
  records: LokiRecord[]
  body: Uint8Array<ArrayBuffer>
}

const files = import.meta.glob<string>('./fixtures/loki/*', {
  query: '?url&inline',
  import: 'default',
  eager: true,
})

function bytesOf(name: string): Uint8Array<ArrayBuffer> {
  const url = files[`./fixtures/loki/${name}`]
  if (url === undefined) throw new Error(`no file ${name}`)
  return Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (char) => char.charCodeAt(0))
}

const index: Omit<LokiFile, 'body'>[] = JSON.parse(new TextDecoder().decode(bytesOf('index.json')))

export const LOKI_FILES: LokiFile[] = index.map((row) => ({ ...row, body: bytesOf(row.file) }))

/** A record as its row has it, to be held against the row. */
export function asRow(
  row: LokiRecord,
  record: { metadata: { resource?: unknown; attributes?: unknown } },
): LokiRecord {
  const all: Record<string, unknown> = {
    ...record,
    resource: record.metadata.resource,
    attributes: record.metadata.attributes,
  }
  return Object.fromEntries(Object.keys(row).map((name) => [name, all[name]]))
}
