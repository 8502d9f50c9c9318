// Records as CSV (RFC 4180): one line each, its columns the members that answers show, in their order,
// `metadata` as JSON.
//
// Whoever may send logs may choose what stands in a cell, and a spreadsheet takes a cell that begins
// with = + - or @ for a formula, also behind blanks and quotes. Such a text gets an apostrophe before
// it, which spreadsheets take for "this is text". To undo it: take one apostrophe away where what is
// behind it begins so.

import { TEXT_COLUMNS } from '../record.ts'
import type { RecordView } from './view.ts'

const [service, environment, eventType, ...otherColumns] = TEXT_COLUMNS

/** The members of a record, as recordView orders them. */
export const CSV_COLUMNS = [
  'id',
  'timestamp',
  'time_unix_nano',
  'observed_time_unix_nano',
  'level',
  'severity_number',
  'severity_text',
  service,
  environment,
  eventType,
  'message',
  ...otherColumns,
  'metadata',
] as const satisfies readonly (keyof RecordView)[]

export const csvHeader = (): string => lineOf([...CSV_COLUMNS])

export const csvLine = (record: RecordView): string =>
  lineOf(
    CSV_COLUMNS.map((name) => {
      const value = record[name]
      if (value === null) return ''
      if (typeof value === 'number') return String(value)
      return csvText(typeof value === 'string' ? value : JSON.stringify(value))
    }),
  )

/** = + - @ and their full-width forms, behind any blanks, quotes and characters that are not shown. */
const FORMULA = /^[\s\p{Cc}\p{Cf}\p{Pi}\p{Pf}"'`␀]*[=+\-@＝＋－＠]|^'*[\t\r\n]/u
/** An empty text is quoted too: an empty cell is a member that is null. */
const NEEDS_QUOTES = /[",;\r\n\t]|^\s|\s$|^$/
const NUL = /\0/g

/** A text as a cell. NUL, which ends the file for many readers, becomes its picture ␀. */
export function csvText(text: string): string {
  const shown = text.replace(NUL, '␀')
  const cell = FORMULA.test(shown) ? `'${shown}` : shown
  return NEEDS_QUOTES.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}

const lineOf = (cells: string[]) => `${cells.join(',')}\r\n`
