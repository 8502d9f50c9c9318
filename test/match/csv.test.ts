// CSV by a table of cells, by a reader of our own that knows the RFC and nothing else, and by the
// order of members that answers show.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CSV_COLUMNS, csvHeader, csvLine, csvText } from '../../src/match/csv.ts'
import { type RecordView, recordView } from '../../src/match/view.ts'
import { batchOf } from '../batches.ts'

const RUN = { seed: Number(process.env.FUZZ_SEED ?? 7), numRuns: 2_000 }

/** RFC 4180 to the letter: lines end with CRLF, quotes stand at both ends of a cell or nowhere. */
function parseCsv(text: string): { value: string; isQuoted: boolean }[][] {
  const lines: { value: string; isQuoted: boolean }[][] = []
  let line: { value: string; isQuoted: boolean }[] = []
  for (let at = 0; at < text.length; ) {
    let value = ''
    const isQuoted = text[at] === '"'
    if (isQuoted) {
      for (at++; ; at++) {
        if (at >= text.length) throw new Error('a quote is not closed')
        if (text[at] !== '"') value += text[at]
        else if (text[at + 1] === '"') value += text[at++]
        else break
      }
      at++
    } else {
      while (at < text.length && !',\r\n"'.includes(text[at]!)) value += text[at++]
    }
    line.push({ value, isQuoted })
    if (text[at] === ',') {
      at++
      // A comma before the end of the line: one more cell, and empty.
      if (text.startsWith('\r\n', at)) line.push({ value: '', isQuoted: false })
      else continue
    }
    if (!text.startsWith('\r\n', at)) throw new Error(`no end of line at ${at}`)
    at += 2
    lines.push(line)
    line = []
  }
  if (line.length > 0) throw new Error('the last line has no end')
  return lines
}

const begins = (cell: string) => {
  const shown = [...cell].find((one) => !/[\s\p{Cc}\p{Cf}\p{Pi}\p{Pf}"'`␀]/u.test(one)) ?? ''
  return '=+-@＝＋－＠'.includes(shown) && shown !== '' ? true : /^'*[\t\r\n]/.test(cell)
}
/** As the docs say it is undone. */
const undone = (cell: string) =>
  cell.startsWith("'") && begins(cell.slice(1)) ? cell.slice(1) : cell

const record = (given: Partial<RecordView> = {}): RecordView => ({
  ...recordView(batchOf([{ ms: 1_720_000_000_123, ns: 456_789, message: 'm' }]), 0, 3, 17),
  ...given,
})

describe('a cell', () => {
  const yields = (text: string, cell: string) =>
    it(JSON.stringify(text), () => expect(csvText(text)).toBe(cell))

  yields('plain', 'plain')
  yields('two words', 'two words')
  yields('数据库', '数据库')
  yields('', '""')
  yields('a,b', '"a,b"')
  yields('a;b', '"a;b"')
  yields('say "hi"', '"say ""hi"""')
  yields('a\nb', '"a\nb"')
  yields('a\r\nb', '"a\r\nb"')
  yields(' a', '" a"')
  yields('a ', '"a "')
  yields('a\0b', 'a\u2400b')
  yields("it's", "it's")
  yields('a=1', 'a=1')
  yields('#1', '#1')

  yields('=1+1', "'=1+1")
  yields('+1', "'+1")
  yields('-1', "'-1")
  yields('@SUM(A1)', "'@SUM(A1)")
  yields('＝1', "'＝1")
  yields('＋1', "'＋1")
  yields('－1', "'－1")
  yields('＠a', "'＠a")
  yields('\ta', '"\'\ta"')
  yields('\ra', '"\'\ra"')
  yields('\na', '"\'\na"')
  yields('  =1', "'  =1")
  yields('\u00a0=1', "'\u00a0=1")
  yields('\ufeff=1', "'\ufeff=1")
  yields('\u200b=1', "'\u200b=1")
  yields('\0=1', "'\u2400=1")
  yields('"=1', '"\'""=1"')
  yields("'=1", "''=1")
  yields('“=1”', "'“=1”")
  yields("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0")
  yields('=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"')

  it('read back is the text it was made of', () => {
    const piece = fc.constantFrom(...'=+-@＝＋－＠,;"\'`\t\r\n \0ab1é💥“«\u200b')
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 20 }),
    )
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (texts) => {
        const cells = parseCsv(`${texts.map(csvText).join(',')}\r\n`)[0]!.map(({ value }) => value)
        for (const cell of cells) expect(cell).not.toMatch(/^[\s"]*[=+\-@＝＋－＠]|\0/)
        expect(cells.map(undone)).toEqual(texts.map((one) => one.replaceAll('\0', '\u2400')))
      }),
      RUN,
    )
  })
})

describe('a record', () => {
  it('has the members that answers show, in their order', () => {
    expect([...CSV_COLUMNS]).toEqual(Object.keys(record()))
    expect(csvHeader()).toBe(`${CSV_COLUMNS.join(',')}\r\n`)
  })

  it('tells null from an empty text, and shows numbers as they are', () => {
    const given = { service: '', severity_number: -5, message: '', user_id: '-5' }
    const [cells] = parseCsv(csvLine(record(given)))
    const cell = (name: keyof RecordView) => cells![CSV_COLUMNS.indexOf(name)]
    expect(cell('timestamp')).toEqual({ value: '1720000000123', isQuoted: false })
    expect(cell('time_unix_nano')).toEqual({ value: '1720000000123456789', isQuoted: false })
    expect(cell('severity_number')).toEqual({ value: '-5', isQuoted: false })
    expect(cell('user_id')).toEqual({ value: "'-5", isQuoted: false })
    expect(cell('service')).toEqual({ value: '', isQuoted: true })
    expect(cell('environment')).toEqual({ value: '', isQuoted: false })
  })

  it('has its metadata as JSON in the last column', () => {
    const metadata = { attributes: { '=a': 'x,"y"\r\n', n: 1 }, body: ['=1'] }
    const lines = parseCsv(csvHeader() + csvLine(record({ metadata })) + csvLine(record()))
    expect(lines.map(({ length }) => length)).toEqual(Array(3).fill(CSV_COLUMNS.length))
    expect(JSON.parse(lines[1]!.at(-1)!.value)).toEqual(metadata)
    expect(lines[2]!.at(-1)!.value).toBe('{"resource":{"service.name":"svc"}}')
  })
})
