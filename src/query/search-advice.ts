// What people bring along from other search languages and what means nothing here, or another thing. It is
// refused with what to write instead: a search that silently finds other records is worse than an error.
// In quotes all of it is text.

import { isColumn } from './filter.ts'

const TIMES = 'use the parameters since and until'

/** Names that no condition asks, and what to do instead. */
export const REFUSED_NAMES: ReadonlyMap<string, string> = new Map([
  ['timestamp', TIMES],
  ['@timestamp', TIMES],
  ['time_unix_nano', TIMES],
  ['observed_time_unix_nano', TIMES],
  ['_exists_', 'name:* finds the records that have a value'],
  ['id', 'GET /logs/<id> reads one record; an attribute of the name is attr.id'],
  ['metadata', 'write attr.<name>, resource.<name>, scope.<name> or body.<name>'],
])

const COMPARED = /^([\p{L}_@$][\p{L}\p{M}\p{N}_.@$-]*)(?:(!=)|>=|<=|==|[<>](?=\d+(?:\.\d+)?$))/u

/** Words of other languages that hold no word here. */
const SIGNS: ReadonlyMap<string, string> = new Map([
  ['&&', 'write AND, or nothing'],
  ['||', 'write OR'],
  ['!', 'write NOT, or a minus'],
  ['|', 'a search chooses records, and doors such as GET /logs/aggregate count them'],
])

/** What to write instead of a term without a name, given as it stands in the text; null where it is words. */
export function adviceFor(term: string): string | null {
  const instead = SIGNS.get(term)
  if (instead !== undefined) return `${term} holds no word: ${instead}`
  if (/^(?:[<>=]=?|!=)$/.test(term)) {
    return `${term} holds no word: a comparison is written without spaces, as in status:>=500`
  }
  if (term === '*:*') return '*:* is not needed: * finds every record'
  if (term.startsWith('!')) return `! is no operator: write -${term.replace(/^!+/, '')}`
  const [, name, unequal] = COMPARED.exec(term) ?? []
  if (name !== undefined) {
    const example = unequal ? `-${name}:value` : `${name}:>=500`
    return `a comparison has a colon behind the name: write ${example}, or put the text in quotes`
  }
  if (term.endsWith(':') && isKnownName(term.slice(0, -1))) {
    return 'the value stands at once behind the colon, as in service:api; a text with a colon is put in quotes'
  }
  return null
}

const isKnownName = (name: string) =>
  isColumn(name) || ['level', 'message', 'any', 'pattern'].includes(name)
