// Which attributes of a block get a column of their own, and what becomes of the others.

import { Buffer } from 'node:buffer'
import { type AttributeColumn, TEXT_COLUMNS, type TextColumn } from '../record.ts'
import type { ScalarType } from './layout.ts'
import type { StoredBatch } from './stored.ts'

const ATTRIBUTE_COLUMNS_MAX = 64
/** Longer names than this are no one's column: they go where a name is a value. */
const ATTRIBUTE_NAME_BYTES_MAX = 128

export interface ChosenAttribute {
  key: string
  type: ScalarType
  /** The column of each part, undefined where it has none. */
  columns: (AttributeColumn | undefined)[]
}

/** The (key, type) pairs that get a column of their own, in order of first sight. */
export function chooseAttributes(parts: StoredBatch[]): ChosenAttribute[] {
  const all = new Map<string, ChosenAttribute & { count: number }>()
  for (const [p, { batch }] of parts.entries()) {
    for (const column of batch.attributes) {
      const { key, type, rows } = column
      if (type === 'json' || !isName(key)) continue
      let entry = all.get(`${type} ${key}`)
      if (!entry) {
        entry = { key, type, columns: new Array(parts.length).fill(undefined), count: 0 }
        all.set(`${type} ${key}`, entry)
      }
      entry.columns[p] = column
      entry.count += rows.length
    }
  }
  // Readers that take names in any case would see one column twice: the most frequent spelling wins.
  const spellings = new Map<string, string>()
  const chosen = new Set<ChosenAttribute>()
  for (const entry of [...all.values()].sort((a, b) => b.count - a.count)) {
    const anyCase = entry.key.toLowerCase()
    const spelling = spellings.get(anyCase) ?? entry.key
    spellings.set(anyCase, spelling)
    if (spelling === entry.key && chosen.size < ATTRIBUTE_COLUMNS_MAX) chosen.add(entry)
  }
  return [...all.values()].filter((entry) => chosen.has(entry))
}

const isName = (key: string) =>
  key.length <= ATTRIBUTE_NAME_BYTES_MAX &&
  Buffer.byteLength(key) <= ATTRIBUTE_NAME_BYTES_MAX &&
  key.isWellFormed() &&
  !/\p{Cc}/u.test(key)

/** JSON text of each record's attributes that have no column, by part and row. */
export function restTexts(parts: StoredBatch[], chosen: ChosenAttribute[]): (string | null)[][] {
  const columns = new Set(chosen.flatMap(({ columns }) => columns))
  return parts.map(({ batch }) => {
    const others = batch.attributes.filter((column) => !columns.has(column))
    if (others.length === 0) return batch.attributesRest
    const members = batch.attributesRest.map((rest) => (rest === null ? '' : rest.slice(1, -1)))
    // In front of the others: what stands last wins, as it does where a record is shown.
    for (const { key, type, rows, values } of others.reverse()) {
      const name = JSON.stringify(key)
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!
        const member = `${name}:${jsonOf(type, values[i]!)}`
        members[row] = members[row] === '' ? member : `${member},${members[row]}`
      }
    }
    return members.map((text, row) =>
      text === '' && batch.attributesRest[row] === null ? null : `{${text}}`,
    )
  })
}

/** A double that is whole keeps its point, and zero its sign: in JSON they would read as integers. */
function jsonOf(type: AttributeColumn['type'], value: string | number | boolean): string {
  if (type === 'json') return value as string
  const text = JSON.stringify(value)
  if (type !== 'num') return text
  if (Object.is(value, -0)) return '-0.0'
  return /^-?\d+$/.test(text) ? `${text}.0` : text
}

/** For each attribute the text column with the same value in every row, null where there is none. */
export function twinsOf(parts: StoredBatch[], chosen: ChosenAttribute[]): (TextColumn | null)[] {
  const filled = parts.map(({ batch }) => {
    const count = (values: (string | null)[]) => {
      let sum = 0
      for (const value of values) if (value !== null) sum++
      return sum
    }
    return Object.fromEntries(TEXT_COLUMNS.map((name) => [name, count(batch.text[name])]))
  })
  const isTwin = (name: TextColumn, { columns }: ChosenAttribute) =>
    parts.every(({ batch }, p) => {
      const column = columns[p]
      if (filled[p]![name] !== (column?.rows.length ?? 0)) return false
      const texts = batch.text[name]
      return !column || column.values.every((value, i) => value === texts[column.rows[i]!])
    })
  return chosen.map((attribute) =>
    attribute.type === 'text'
      ? (TEXT_COLUMNS.find((name) => isTwin(name, attribute)) ?? null)
      : null,
  )
}
