// Which fields the records have that match: columns and attributes, with their types and how many have
// them. Members of resources are not among them: no list of the catalog has them.

import { typeOf } from '../block/detail.ts'
import type { Needed } from '../block/parquet.ts'
import type { StoredBatch } from '../block/stored.ts'
import { GROUP_CHARS_MAX, GROUPS_MAX } from '../limits.ts'
import { type Counted, type FieldType, fieldKey, readFieldKey } from '../query/ask.ts'
import { parseFieldName } from '../query/search.ts'
import { writeName } from '../query/search-text.ts'
import { type AttributeColumn, TEXT_COLUMNS } from '../record.ts'
import { type Counter, shareOf } from './counting.ts'
import { inOnePiece } from './field-values.ts'

export interface FieldView {
  /** As it is written before a colon in a search. */
  name: string
  scope: 'column' | 'attr'
  types: string[]
  /** Records that have it; at most so many where it is not exact. */
  count: number
  share: number
  is_exact: boolean
}

export class FieldsCounter implements Counter {
  readonly needed: Needed = { columns: new Set([...TEXT_COLUMNS, 'severity']), attributes: 'all' }
  readonly isSlow = false
  records = 0
  /** False once a key found no place. */
  isComplete = true
  readonly #counts = new Map<string, number>()
  #chars = 0

  count({ batch }: StoredBatch, rows: number[]): void {
    const { attributesRest } = batch
    this.records += rows.length
    for (const name of TEXT_COLUMNS) this.#addColumn(name, batch.text[name], rows)
    this.#addColumn('severity_text', batch.severityText, rows)
    const numbered = rows.filter((row) => batch.severityNumber[row] !== 0).length
    if (numbered > 0) this.#add(fieldKey('column', 'int', 'severity_number'), numbered)
    this.#addAttributes(batch.attributes, rows, batch.length)
    this.#addRest(attributesRest, rows)
  }

  absorb({ records, groups }: Counted): void {
    this.records += records
    for (const [key, [count = 0]] of groups) if (count > 0) this.#add(key, count)
  }

  #addColumn(name: string, values: (string | null)[], rows: number[]): void {
    let count = 0
    for (const row of rows) if (values[row] !== null) count++
    if (count > 0) this.#add(fieldKey('column', 'text', name), count)
  }

  #addAttributes(columns: AttributeColumn[], rows: number[], length: number): void {
    const isAll = rows.length === length
    const isAsked = new Uint8Array(length)
    for (const row of rows) isAsked[row] = 1
    for (const { key, type, rows: having } of columns) {
      let count = isAll ? having.length : 0
      if (!isAll) for (const row of having) count += isAsked[row]!
      if (count > 0) this.#add(fieldKey('attr', type, key), count)
    }
  }

  #addRest(texts: (string | null)[], rows: number[]): void {
    for (const row of rows) {
      const rest = texts[row] ?? null
      if (rest === null) continue
      for (const [key, value] of Object.entries(JSON.parse(rest))) {
        this.#add(fieldKey('attr', typeOf(value), key), 1)
      }
    }
  }

  #add(key: string, records: number): void {
    const known = this.#counts.get(key)
    if (known !== undefined) this.#counts.set(key, known + records)
    else if (this.#counts.size < GROUPS_MAX && this.#chars + key.length <= GROUP_CHARS_MAX) {
      this.#chars += key.length
      this.#counts.set(inOnePiece(key), records)
    } else this.isComplete = false
  }

  /** How many fields there are. */
  get size(): number {
    return this.#all().length
  }

  /** So many fields, the most frequent first. */
  view(limit: number): FieldView[] {
    const all = this.#all().sort(
      (a, b) =>
        b.count - a.count ||
        Number(a.scope === 'attr') - Number(b.scope === 'attr') ||
        (a.name < b.name ? -1 : 1),
    )
    return all.slice(0, limit).map(({ scope, name, types, count, isExact }) => ({
      name: scope === 'column' ? name : attributeName(name),
      scope,
      types,
      count,
      share: shareOf(count, this.records),
      is_exact: isExact,
    }))
  }

  #all(): Field[] {
    const fields = new Map<string, Field>()
    if (this.records > 0) fields.set('column level', levelOf(this.records))
    for (const [key, count] of this.#counts) {
      const { scope, type, name } = readFieldKey(key)
      const field = fields.get(`${scope} ${name}`)
      if (!field) {
        const isExact = type !== '?'
        fields.set(`${scope} ${name}`, { scope, name, types: [shownType(type)], count, isExact })
        continue
      }
      field.count += count
      field.isExact &&= type !== '?'
      if (!field.types.includes(shownType(type))) field.types.push(shownType(type))
    }
    return [...fields.values()]
  }
}

interface Field {
  scope: 'column' | 'attr'
  name: string
  types: string[]
  count: number
  isExact: boolean
}

/** Every record has a level, so nothing has to be read of it. */
const levelOf = (count: number): Field => ({
  scope: 'column',
  name: 'level',
  types: ['text'],
  count,
  isExact: true,
})

/** Of a column that the catalog does not list it is known all the same that it holds text. */
const shownType = (type: FieldType): string => (type === '?' ? 'text' : type)

/** Bare, unless that names something else. */
function attributeName(name: string): string {
  const bare = writeName({ in: 'bare', name })
  const read = parseFieldName(bare)
  const isIt = read.ok && read.data.in === 'bare' && read.data.name === name
  return isIt ? bare : writeName({ in: 'attr', name })
}
