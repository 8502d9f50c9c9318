// What a block's Parquet file holds: the columns that every block has, in their order, and how an
// attribute's column is named. docs/storage.md says what each means.

import type { SchemaElement } from 'hyparquet'
import { TEXT_COLUMNS, type TextColumn } from '../record.ts'

/** Grows when an older reader would misread; stands in the file's key-value metadata. */
export const BLOCK_VERSION = 1
export const VERSION_KEY = 'worker-logs.version'

/** Records of one row group: what a reader decodes at once. Dictionary places fit 13 bits. */
export const GROUP_RECORDS_MAX = 8192

/** What a page may hold, decompressed: the longest value is JSON text of a record of 1 MiB, escaped. */
export const PAGE_BYTES_MAX = 32 * 1024 * 1024

/** How the values of a column are typed, in the file and in memory. */
export type Kind = 'time' | 'text' | 'int' | 'long' | 'num' | 'bool'

export interface ColumnSpec {
  name: string
  kind: Kind
  /** Every record has a value. */
  isRequired: boolean
}

/** What may be left out of a read. Time, sequence number and time received always come. */
export type ColumnName =
  | 'observed'
  | 'level'
  | 'severity'
  | 'message'
  | 'pattern'
  | 'body'
  | 'resource'
  | 'scope'
  | 'otel'
  | 'cut'
  | TextColumn

const required = (name: string, kind: Kind): ColumnSpec => ({ name, kind, isRequired: true })
const optional = (name: string, kind: Kind): ColumnSpec => ({ name, kind, isRequired: false })

export const SCHEMA: ColumnSpec[] = [
  required('timestamp', 'time'),
  optional('observed_time', 'time'),
  required('received_time', 'time'),
  required('level', 'text'),
  required('severity_number', 'int'),
  optional('severity_text', 'text'),
  ...TEXT_COLUMNS.map((name) => optional(name, 'text')),
  required('message', 'text'),
  optional('pattern', 'text'),
  optional('body', 'text'),
  optional('attributes', 'text'),
  required('resource', 'text'),
  required('scope', 'text'),
  optional('otel', 'text'),
  optional('cut', 'text'),
  required('seq', 'long'),
  required('shard', 'int'),
]

/** An attribute's column is named by its type and key, so the files of many blocks never clash. */
const PREFIX = { text: 'attr.', int: 'attr_int.', num: 'attr_num.', bool: 'attr_bool.' } as const
export type ScalarType = keyof typeof PREFIX
export const SCALAR_TYPES = Object.keys(PREFIX) as ScalarType[]
const KIND = { text: 'text', int: 'long', num: 'num', bool: 'bool' } as const

export const attributeName = (key: string, type: ScalarType) => PREFIX[type] + key

export const attributeSpec = (key: string, type: ScalarType): ColumnSpec =>
  optional(attributeName(key, type), KIND[type])

/** The key and type that a column's name tells, or null where it is no attribute's. */
export function attributeOf(name: string): { key: string; type: ScalarType } | null {
  for (const type of SCALAR_TYPES) {
    if (name.startsWith(PREFIX[type])) return { key: name.slice(PREFIX[type].length), type }
  }
  return null
}

const ELEMENT: Record<Kind, Partial<SchemaElement>> = {
  time: {
    type: 'INT64',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' },
  },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  int: { type: 'INT32' },
  long: { type: 'INT64' },
  num: { type: 'DOUBLE' },
  bool: { type: 'BOOLEAN' },
}

export const elementOf = ({ name, kind, isRequired }: ColumnSpec): SchemaElement => ({
  name,
  repetition_type: isRequired ? 'REQUIRED' : 'OPTIONAL',
  ...ELEMENT[kind],
})
