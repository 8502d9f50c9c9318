// Expressions that are lists of texts, and what is bounded of those that are none.

import { describe, expect, it } from 'vitest'
import { parseLogql, parseMatchers } from '../../src/logql/parse.ts'
import { preparePipeline } from '../../src/logql/pipeline.ts'
import { listedValues } from '../../src/logql/regex-list.ts'
import { compileRegex } from '../../src/query/regex.ts'

describe('a list', () => {
  const lists = (source: string, values: string[] | null) =>
    it(`${JSON.stringify(source)} is ${JSON.stringify(values)}`, () => {
      expect(listedValues(source)).toEqual(values)
      if (!values) return
      const regex = compileRegex(`^(?s:${source})$`)
      expect(regex.ok && values.every((value) => regex.data.test(value))).toBe(true)
      expect(regex.ok && regex.data.test(`${values.join('')}, and more`)).toBe(false)
    })
  lists('', [''])
  lists('api', ['api'])
  lists('api|web|', ['api', 'web', ''])
  lists('10\\.0\\.0\\.1|a\\|b|c\\\\d', ['10.0.0.1', 'a|b', 'c\\d'])
  lists('a.b', null)
  lists('a\\d', null)
  lists('a\\é', null)
  lists('(a|b)', null)
  lists('a\\', null)
  lists(Array(1001).fill('a').join('|'), null)
})

const many = Array.from({ length: 900 }, (_, i) => `pod-${i}\\\\.shop`)

describe('a query', () => {
  it('may choose among many values', () => {
    const list = many.join('|')
    expect(parseMatchers(`{pod=~"${list}"}`).ok).toBe(true)
    expect(parseLogql(`{app="web"} | json | pod!~"${list}" | drop pod=~"${list}"`).ok).toBe(true)
  })

  it('may have an expression of the whole bound behind a parser', () => {
    const query = parseLogql(`{app="web"} | json | pod=~"[${'ab'.repeat(500)}]+"`)
    const { stages } = query.ok && query.data.kind === 'log' ? query.data : { stages: [] }
    expect(preparePipeline(stages, null)).toMatchObject({ ok: true })
    expect(stages.length).toBe(2)
  })

  const refuses = (what: string, query: string, why: string) =>
    it(`is refused with ${what}`, () => {
      const parsed = parseLogql(query)
      expect(parsed.ok ? '' : parsed.error.message).toContain(why)
    })
  const long = `[${'ab'.repeat(180)}]`
  refuses('a long expression', `{app="web"} |~ "${many.join('|')}"`, 'regular expression')
  refuses(
    'many expressions that are too long together',
    `{app="web"} |~ "${long}" !~ "${long}" | pod=~"${long}"`,
    'at most 1024 characters together',
  )
  refuses(
    'many expressions that are too large together',
    `{app="web"} |~ "a{300}" |~ "b{300}"`,
    'at most 500 instructions together',
  )
})
