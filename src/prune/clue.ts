// What the catalog can say of one leaf of a filter: of a whole block, by its filters and its detail,
// and of records of which a pattern, a value or a type of attribute is known. It holds to eval.ts.

import type { BlockDetail } from '../block/detail.ts'
import type { Hash } from '../block/filter.ts'
import { VARIABLE } from '../block/pattern.ts'
import { idToken, wordToken } from '../block/tokens.ts'
import { textCheck, type Verdict } from '../match/text.ts'
import { pathOf, remembered, valueCheck } from '../match/value.ts'
import type { Field, Leaf, SEVERITY_COLUMNS, TextTest, ValueTest } from '../query/filter.ts'
import type { AttributeType, TextColumn } from '../record.ts'
import { wordsOf } from '../words.ts'
import { labelTokensOf, textTokens, valueTokensOf } from './whole-words.ts'

type SeverityColumn = (typeof SEVERITY_COLUMNS)[number]

export type Answer = 'none' | 'some' | 'every'

/** What a leaf may ask of a block. */
export interface ClueSource {
  /** Whether a filter may hold a token. */
  mayHold(filter: 'ids' | 'words', token: Hash): boolean
  patternText(id: string): string | null
}

/** A leaf made ready. Whatever is not told is 'some'. */
export interface Clue {
  /** What it costs to ask: the filters are asked by the lowest first. */
  cost: number
  /** Of level leaves. */
  mask: number | null
  /** The column whose values tell of their records. */
  column: TextColumn | null
  /** The attribute whose types tell of their records. */
  key: string | null
  isInDetail: boolean
  /** False: no record of the block passes. null: the filters do not tell. */
  mayPass: ((source: ClueSource) => boolean) | null
  /** Of a block with so many records. */
  byDetail(detail: BlockDetail, records: number, source: ClueSource): Answer
  /** Of records of a pattern; null: without one. */
  byPattern(id: string | null, detail: BlockDetail, source: ClueSource): Answer
  /** Of records with a value of `column`. */
  byValue(value: string | null): Answer
  /** Of records that have the attribute `key` with this type; null: not. */
  byType(type: AttributeType | null, detail: BlockDetail, source: ClueSource): Answer
}

const SILENT: Clue = {
  cost: 9,
  mask: null,
  column: null,
  key: null,
  isInDetail: false,
  mayPass: null,
  byDetail: () => 'some',
  byPattern: () => 'some',
  byValue: () => 'some',
  byType: () => 'some',
}

export function clueOf(leaf: Leaf): Clue {
  switch (leaf.kind) {
    case 'level':
      return { ...SILENT, cost: 0, mask: leaf.mask }
    case 'pattern':
      return patternClue(leaf.id)
    case 'text':
      return textClue(leaf)
    case 'field': {
      const { field, test } = leaf
      if (field.in === 'label') {
        return { ...SILENT, cost: 5, mayPass: mayHoldAll(labelTokensOf(test)) }
      }
      if (field.in !== 'column') return memberClue(field, test)
      const { name } = field
      const isSeverity = name === 'severity_number' || name === 'severity_text'
      return isSeverity ? severityClue(name, test) : columnClue(name, test)
    }
  }
}

const holdsAll = (source: ClueSource, tokens: Hash[]): boolean =>
  tokens.every((token) => source.mayHold('words', token))

const mayHoldAll = (tokens: Hash[]): Clue['mayPass'] =>
  tokens.length > 0 ? (source) => holdsAll(source, tokens) : null

/** Records without a pattern may have one that the block did not keep, unless it kept all. */
const keepsAll = ({ patterns, patternsMax }: BlockDetail) => patterns.length < patternsMax

function patternClue(id: string): Clue {
  /** Of what is not variable in it. */
  let tokens: Hash[] | undefined
  return {
    ...SILENT,
    cost: 3,
    isInDetail: true,
    mayPass: (source) => {
      tokens ??= source.patternText(id)?.split(VARIABLE).flatMap(wordsOf).map(wordToken) ?? []
      return holdsAll(source, tokens)
    },
    byDetail: (detail, records) => {
      const known = detail.patterns.find((one) => one.id === id)
      if (known) return known.records === records ? 'every' : 'some'
      const hasOthers = detail.unpatterned.some((count) => count > 0)
      return hasOthers && !keepsAll(detail) ? 'some' : 'none'
    },
    byPattern: (one, detail) => {
      if (one !== null) return one === id ? 'every' : 'none'
      return keepsAll(detail) ? 'none' : 'some'
    },
  }
}

/** Patterns whose verdict one leaf keeps: a block has some hundred, most of them those of the block before. */
const VERDICTS_MAX = 10_000

/** A word with a digit may stand in any variable: to read a detail for it would be of no use. */
const mayBeDecided = (test: TextTest): boolean =>
  test.is !== 'phrase' || wordsOf(test.text).some((word) => !/\p{N}/u.test(word))

function textClue({ in: where, test }: Extract<Leaf, { kind: 'text' }>): Clue {
  const tokens = textTokens(test)
  const check = textCheck(test)
  const verdicts = new Map<string, Verdict>()
  const verdictOf = (id: string, source: ClueSource): Verdict => {
    const known = verdicts.get(id)
    if (known !== undefined) return known
    const text = source.patternText(id)
    if (text === null) return 'look'
    const verdict = check.verdict(text)
    if (verdicts.size >= VERDICTS_MAX) verdicts.clear()
    verdicts.set(id, verdict)
    return verdict
  }
  return {
    ...SILENT,
    cost: 4,
    isInDetail: mayBeDecided(test),
    mayPass: mayHoldAll(tokens),
    byPattern: (id, _, source) => {
      const verdict = id === null ? 'look' : verdictOf(id, source)
      if (verdict === 'every') return 'every'
      return verdict === 'none' && where === 'message' ? 'none' : 'some'
    },
  }
}

/** Of the severity's text only the words are listed, of its number nothing. */
function severityClue(name: SeverityColumn, test: ValueTest): Clue {
  const tokens = name === 'severity_text' ? valueTokensOf(test).asText : []
  return {
    ...SILENT,
    cost: 5,
    isInDetail: true,
    mayPass: mayHoldAll(tokens),
    byDetail: ({ lacking }, records) => ofAbsent(test, lacking?.[name], records),
  }
}

function ofAbsent(test: ValueTest, absent: number | undefined, records: number): Answer {
  if (absent === records) return 'none'
  return test.is === 'exists' && absent === 0 ? 'every' : 'some'
}

function columnClue(column: TextColumn, test: ValueTest): Clue {
  const passes = remembered(valueCheck(test).text)
  const id = test.is === 'equal' ? idToken(column, test.value) : null
  const { asText } = valueTokensOf(test)
  return {
    ...SILENT,
    cost: id ? 1 : 2,
    column,
    isInDetail: true,
    mayPass: id ? (source) => source.mayHold('ids', id) : mayHoldAll(asText),
    byDetail: ({ values, lacking }, records) => {
      const known = values[column]
      const answer = ofAbsent(test, known?.absent ?? lacking?.[column], records)
      if (answer !== 'some' || known === null) return answer
      let passing = 0
      for (const [value, count] of known.counts) if (passes(value)) passing += count
      return passing === 0 ? 'none' : passing === records ? 'every' : 'some'
    },
    byValue: (value) => (value !== null && passes(value) ? 'every' : 'none'),
  }
}

/** Members of resource, scope and body are in no list: only their strings can be told not to be there. */
function memberClue(field: Exclude<Field, { in: 'column' | 'label' }>, test: ValueTest): Clue {
  const { asText, other } = valueTokensOf(test)
  const mayBeText = (source: ClueSource) => holdsAll(source, asText)
  const mayBeOther = (source: ClueSource) => other !== null && holdsAll(source, other.tokens)
  const mayPass = (source: ClueSource) => mayBeOther(source) || mayBeText(source)
  const isTold = asText.length > 0 && other?.tokens.length !== 0
  const clue: Clue = { ...SILENT, cost: 5, mayPass: isTold ? mayPass : null }
  if (field.in !== 'attr' && field.in !== 'bare') return clue

  const { name, beginnings } = pathOf(field.name)
  const maps = new Set(beginnings.map(({ key }) => key))
  const mayPassAs = (type: AttributeType, source: ClueSource): boolean => {
    if (type === 'text') return mayBeText(source)
    // An array has texts too.
    if (type === 'json' && mayBeText(source)) return true
    return other?.types.has(type) === true && mayBeOther(source)
  }
  /** Where no attribute has the whole name. */
  const mayPassElse = ({ keys, hasMoreKeys }: BlockDetail, source: ClueSource): boolean =>
    hasMoreKeys || field.in === 'bare'
      ? mayPass(source)
      : keys.some(({ key, type }) => type === 'json' && maps.has(key)) && mayPassAs('json', source)
  return {
    ...clue,
    key: name,
    isInDetail: true,
    byDetail: (detail, records, source) => {
      const own = detail.keys.filter(({ key }) => key === name)
      if (test.is === 'exists' && records === own.reduce((sum, one) => sum + one.records, 0)) {
        return 'every'
      }
      const mayBe = own.some(({ type }) => mayPassAs(type, source)) || mayPassElse(detail, source)
      return mayBe ? 'some' : 'none'
    },
    byType: (type, detail, source) => {
      if (type === null) return mayPassElse(detail, source) ? 'some' : 'none'
      if (test.is === 'exists') return 'every'
      return mayPassAs(type, source) ? 'some' : 'none'
    },
  }
}
