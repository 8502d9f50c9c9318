// The labels that a record brings to a pipeline: those of its stream, and its structured metadata.

import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { FieldReader, type FieldValues } from '../count/field-values.ts'
import { bodyLeaves, type Leaf, leavesOf, scopeLeaves } from '../match/label.ts'
import { NOTHING_NEEDED } from '../match/merge.ts'
import { bothNeeded } from '../match/scan.ts'
import { type RecordView, recordView } from '../match/view.ts'
import { TEXT_COLUMNS } from '../record.ts'
import type { Own, Reads } from './entry.ts'
import { labelField, METADATA_COLUMNS, STREAM_LABELS } from './labels.ts'

const ALL_NEEDED: Needed = {
  columns: new Set([...TEXT_COLUMNS, 'level', 'severity', 'resource', 'scope', 'body'] as const),
  attributes: 'all',
}

/** Reads labels of rows. What it learns it keeps: make it once for many batches. */
export class OwnReader {
  readonly needed: Needed
  readonly #readers: { name: string; reader: FieldReader }[] | null

  constructor(reads: Reads) {
    this.#readers =
      reads === 'all'
        ? null
        : [...reads].map((name) => ({ name, reader: new FieldReader(labelField(name)) }))
    this.needed =
      this.#readers?.reduce(
        (needed, { reader }) => bothNeeded(needed, reader.needed),
        NOTHING_NEEDED,
      ) ?? ALL_NEEDED
  }

  /** The labels of these rows, in their order. */
  read(stored: StoredBatch, rows: number[]): Own[] {
    if (this.#readers === null) {
      return rows.map((row) => ownOf(recordView(withoutMessages(stored), row, 0, 0)))
    }
    const fields = this.#readers.map(({ name, reader }) => ({
      name,
      isStream: STREAM_LABELS.has(name),
      found: reader.values(stored, rows),
    }))
    return rows.map((_, i) => {
      const stream = new Map<string, string>()
      const metadata = new Map<string, string>()
      for (const { name, isStream, found } of fields) {
        const value = valueAt(found, i)
        if (value !== '') (isStream ? stream : metadata).set(name, value)
      }
      return { stream, metadata }
    })
  }
}

const valueAt = ({ values, codes }: FieldValues, i: number): string =>
  codes[i]! < 0 ? '' : values[codes[i]!]!

/** A batch whose messages nobody reads: cutting them all would take longer than everything else. */
const withoutMessages = ({ batch }: StoredBatch) =>
  Object.create(batch, { message: { value: [] } }) as StoredBatch['batch']

/** All labels of a record. */
export function ownOf(view: RecordView): Own {
  const stream = new Map<string, string>()
  for (const [name, field] of STREAM_LABELS) {
    const value = field.in === 'level' ? view.level : view[field.name]
    if (value) stream.set(name, value)
  }
  const metadata = new Map<string, string>()
  for (const name of METADATA_COLUMNS) {
    const value = view[name]
    if (value !== null && value !== '' && value !== 0) metadata.set(name, String(value))
  }
  const { attributes, resource, scope, body } = view.metadata
  const parts = [
    leavesOf(attributes ?? {}),
    leavesOf(resource ?? {}),
    scopeLeaves(scope ?? {}),
    bodyLeaves(body),
  ]
  for (const leaves of parts) {
    for (const { name, value } of leaves.sort(byPath)) {
      const isTaken = STREAM_LABELS.has(name) || COLUMN_NAMES.has(name) || metadata.has(name)
      if (!isTaken) metadata.set(name, String(value))
    }
  }
  return { stream, metadata }
}

const COLUMN_NAMES = new Set<string>(METADATA_COLUMNS)

const byPath = (a: Leaf, b: Leaf) => (a.path < b.path ? -1 : Number(a.path > b.path))
