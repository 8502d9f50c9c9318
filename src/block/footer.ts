// The footer of a block's Parquet file: the names of its columns, and where each lies. Written with
// hyparquet-writer; read by hand, because its bytes are checked as they are read, and because a query
// reads one for every block that is left to it, of which it needs a tenth of what is in there.

import type { ColumnChunk, FileMetaData, RowGroup } from 'hyparquet'
import type { ByteWriter } from 'hyparquet-writer'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'
import type { ChunkPlace } from './chunk-read.ts'
import {
  BLOCK_VERSION,
  type ColumnSpec,
  elementOf,
  GROUP_RECORDS_MAX,
  VERSION_KEY,
} from './layout.ts'
import { ThriftReader } from './thrift.ts'

const MAGIC = 0x31524150

export const writeMagic = (writer: ByteWriter) => writer.appendUint32(MAGIC)

export interface Group {
  records: number
  chunks: ColumnChunk[]
}

export function writeFooter(writer: ByteWriter, columns: ColumnSpec[], groups: Group[]): void {
  const records = groups.reduce((sum, group) => sum + group.records, 0)
  const metadata: FileMetaData = {
    version: 2,
    // In the form that readers parse: of others they doubt the statistics.
    created_by: `worker-logs version ${BLOCK_VERSION}.0.0`,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.map(elementOf)],
    num_rows: BigInt(records),
    row_groups: groups.map(rowGroupOf),
    key_value_metadata: [{ key: VERSION_KEY, value: String(BLOCK_VERSION) }],
    metadata_length: 0,
  }
  writeMetadata(writer, metadata)
  writeMagic(writer)
}

function rowGroupOf({ records, chunks }: Group): RowGroup {
  const total = (of: 'total_uncompressed_size' | 'total_compressed_size') =>
    chunks.reduce((sum, { meta_data }) => sum + meta_data![of], 0n)
  return {
    columns: chunks,
    total_byte_size: total('total_uncompressed_size'),
    num_rows: BigInt(records),
    sorting_columns: [{ column_idx: 0, descending: false, nulls_first: false }],
    total_compressed_size: total('total_compressed_size'),
  }
}

export interface Footer {
  version: number
  groups: { records: number }[]
  /** The names of the columns, in order. */
  names: string[]
  /** Where the columns of each group lie, in the order of the names. */
  chunks: ChunkPlace[][]
}

interface Elements {
  names: string[]
  isRequired: boolean[]
}

/** Throws on what is no Parquet file, and on a footer that names what is not in the file. */
export function readFooter(bytes: Uint8Array): Footer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = bytes.length - 8
  if (end < 4 || view.getUint32(end + 4, true) !== MAGIC) throw new Error('no Parquet file')
  const r = new ThriftReader(bytes, end - view.getUint32(end, true), end)
  const elements: Elements = { names: [], isRequired: [] }
  const footer: Footer = { version: 0, groups: [], names: elements.names, chunks: [] }
  r.struct((id) => {
    if (id === 2) r.list(() => readElement(r, elements))
    else if (id === 4) r.list(() => readGroup(r, end, elements, footer))
    else if (id === 5) r.list(() => readVersion(r, footer))
    else r.skip()
  })
  if (footer.version !== BLOCK_VERSION)
    throw new Error(`block of unknown version ${footer.version}`)
  return footer
}

function readElement(r: ThriftReader, { names, isRequired }: Elements): void {
  let name = ''
  let isColumn = false
  let repetition = 0
  r.struct((id) => {
    if (id === 4) name = r.text()
    else if (id === 3) repetition = r.int()
    else {
      // Only a column has a type of its own: the root has none.
      if (id === 1) isColumn = true
      r.skip()
    }
  })
  if (!isColumn) return
  names.push(name)
  isRequired.push(repetition === 0)
}

function readVersion(r: ThriftReader, footer: Footer): void {
  let key = ''
  r.struct((id) => {
    if (id === 1) key = r.text()
    else if (id === 2 && key === VERSION_KEY) footer.version = Number(r.text())
    else r.skip()
  })
}

function readGroup(r: ThriftReader, end: number, elements: Elements, footer: Footer): void {
  const chunks: ChunkPlace[] = []
  let records = 0
  r.struct((id) => {
    if (id === 1) r.list(() => chunks.push(readChunkPlace(r, end)))
    else if (id === 3) records = r.int()
    else r.skip()
  })
  const isSound = records > 0 && records <= GROUP_RECORDS_MAX
  if (!isSound || chunks.length !== elements.names.length) {
    throw new Error(`a group of ${records} records and ${chunks.length} columns`)
  }
  for (const [i, chunk] of chunks.entries()) {
    chunk.rows = records
    chunk.isRequired = elements.isRequired[i]!
  }
  footer.groups.push({ records })
  footer.chunks.push(chunks)
}

const UNCOMPRESSED = 0
const GZIP = 2

function readChunkPlace(r: ThriftReader, end: number): ChunkPlace {
  let codec = -1
  let bytes = -1
  let pages = -1
  let dictionary = -1
  const readMeta = () =>
    r.struct((id) => {
      if (id === 4) codec = r.int()
      else if (id === 7) bytes = r.int()
      else if (id === 9) pages = r.int()
      else if (id === 11) dictionary = r.int()
      else r.skip()
    })
  r.struct((id) => (id === 3 ? readMeta() : r.skip()))
  const start = dictionary < 0 ? pages : dictionary
  if (!(start >= 4 && bytes >= 0 && start + bytes <= end)) {
    throw new Error(`a column at ${start}, ${bytes} bytes of ${end}`)
  }
  if (codec !== UNCOMPRESSED && codec !== GZIP) throw new Error(`a column in codec ${codec}`)
  return { start, bytes, isGzip: codec === GZIP, isRequired: false, rows: 0 }
}
