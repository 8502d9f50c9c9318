// From a key of a line to the name of a label: sanitised as Loki does it, and remembered, because lines
// of one service have the same keys.

import { labelName } from '../record.ts'
import { EXTRACTED, type LineLabels } from './line-labels.ts'

/** Space as Go sees it: JavaScript's own has U+FEFF as well, and lacks U+0085. */
const SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/

export function trimSpace(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && SPACE.test(text[from]!)) from++
  while (to > from && SPACE.test(text[to - 1]!)) to--
  return text.slice(from, to)
}

const PLAIN = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** `status code` as `status_code`, `2xx` as `_2xx`; '' where there is nothing but space. */
export function sanitize(key: string): string {
  return PLAIN.test(key) ? key : labelName(trimSpace(key))
}

/** The name of a key inside the object that has this name; '' is the line itself. */
export function join(prefix: string, key: string): string {
  if (prefix === '') return sanitize(key)
  const inside = trimSpace(key)
  return inside === '' ? prefix : labelName(`${prefix}_${inside}`)
}

/** What a key of a line becomes. */
export interface KeyName {
  plain: string
  /** Where the stream or the metadata have `plain`. */
  doubled: string
  wantsPlain: boolean
  wantsDoubled: boolean
  /** Some label inside may be wanted, if it is an object. */
  wantsInside: boolean
  /** Keys inside, made when first seen. */
  inside: KeyTable | null
}

/** Keys remembered by one stage; lines whose keys are values of their own must not fill the memory. */
const KEYS_MAX = 4096
/** Longer ones are not names that come again. */
const NAME_CHARS_MAX = 256

/** The keys of a line, or of an object in it. */
export class KeyTable {
  readonly prefix: string
  readonly #keys = new Map<string, KeyName>()
  readonly #labels: LineLabels
  readonly #room: { left: number }

  constructor(labels: LineLabels, prefix = '', room = { left: KEYS_MAX }) {
    this.prefix = prefix
    this.#labels = labels
    this.#room = room
  }

  nameOf(key: string): KeyName {
    const known = this.#keys.get(key)
    if (known) return known
    const plain = join(this.prefix, key)
    const doubled = this.prefix === '' ? plain + EXTRACTED : join(this.prefix, key + EXTRACTED)
    const isNamed = plain !== ''
    const name: KeyName = {
      plain,
      doubled,
      wantsPlain: isNamed && this.#labels.wants(plain),
      wantsDoubled: isNamed && this.#labels.wants(doubled),
      wantsInside: this.#labels.wantsPrefix(plain),
      inside: null,
    }
    if (this.#room.left > 0 && plain.length <= NAME_CHARS_MAX) {
      this.#room.left--
      // Out of the line: a slice would keep all of it.
      this.#keys.set(detached(key), name)
    }
    return name
  }

  insideOf(name: KeyName): KeyTable {
    name.inside ??= new KeyTable(this.#labels, name.plain, this.#room)
    return name.inside
  }
}

const detached = (text: string): string => JSON.parse(JSON.stringify(text))

/** The label to make of a key, or null: nobody reads it, or the line gave it before. */
export function labelOf(name: KeyName, labels: LineLabels): string | null {
  if (!name.wantsPlain && !name.wantsDoubled) return null
  const isDoubled = labels.ownHas(name.plain)
  if (!(isDoubled ? name.wantsDoubled : name.wantsPlain)) return null
  const label = isDoubled ? name.doubled : name.plain
  return labels.wasMade(label) ? null : label
}
