// What a test asks of Loki's API, the same of Loki itself and of us, and answers in a form in which two of
// them can be compared.

import type { PushRecord } from './loki-records.ts'

export interface Target {
  url: string
  /** Of the one who may read, and of the one who may write. */
  readHeaders: Record<string, string>
  pushHeaders: Record<string, string>
}

export interface LokiAnswer {
  status: number
  /** JSON, or the text where it is none. */
  body: unknown
}

export async function ask(
  target: Target,
  path: string,
  parameters: Record<string, string>,
): Promise<LokiAnswer> {
  const answer = await fetch(
    `${target.url}/loki/api/v1/${path}?${new URLSearchParams(parameters)}`,
    {
      headers: target.readHeaders,
    },
  )
  const text = await answer.text()
  try {
    return { status: answer.status, body: JSON.parse(text) }
  } catch {
    return { status: answer.status, body: text }
  }
}

/** Pushes them as JSON, `labelsOf` each stream. Throws unless all were taken. */
export async function push(
  target: Target,
  records: PushRecord[],
  labelsOf: (stream: PushRecord['stream']) => Record<string, string>,
): Promise<void> {
  const streams = new Map<string, { stream: Record<string, string>; values: unknown[] }>()
  for (const { stream, timeNs, line, metadata } of records) {
    const key = JSON.stringify(stream)
    if (!streams.has(key)) streams.set(key, { stream: labelsOf(stream), values: [] })
    const hasMetadata = Object.keys(metadata).length > 0
    streams.get(key)!.values.push([String(timeNs), line, ...(hasMetadata ? [metadata] : [])])
  }
  const answer = await fetch(`${target.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { ...target.pushHeaders, 'content-type': 'application/json' },
    body: JSON.stringify({ streams: [...streams.values()] }),
  })
  const text = await answer.text()
  if (answer.status !== 204) throw new Error(`push answered ${answer.status} ${text}`)
}

/**
 * Two things are left out of what is compared: how a level was written, which a record has here of its
 * own, and labels without a value, which are none here, and which Loki shows where a parser found one.
 */
const isCompared = ([name, value]: [string, string]) => name !== 'severity_text' && value !== ''

type Labels = Record<string, string>
interface Answered {
  data?: {
    resultType?: string
    result?: {
      stream?: Labels
      metric?: Labels
      values?: [string | number, string][]
      value?: [number, string]
    }[]
  }
}

const labelsText = (labels: Labels) =>
  JSON.stringify(
    Object.entries(labels)
      .filter(isCompared)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

/** One line a record or a series, sorted; `isOrdered`: a vector as it came. */
export function canonical({ status, body }: LokiAnswer, isOrdered = false): string[] {
  if (status !== 200) return [`status ${status}`]
  const { resultType, result } = (body as Answered).data ?? {}
  if (!Array.isArray(result)) return [`no result: ${JSON.stringify(body)}`]
  if (resultType === 'scalar') {
    const [, value] = result as unknown as [number, string]
    return ['scalar', textOf(value)]
  }
  const lines = result.flatMap(({ stream, metric, values, value }) => {
    if (stream) {
      return values!.map(([time, line]) => `${time} ${labelsText(stream)} ${JSON.stringify(line)}`)
    }
    const points = (values ?? [value!]).map(([time, number]) => `${time}:${textOf(number)}`)
    return [`${labelsText(metric!)} ${points.join(' ')}`]
  })
  return [resultType!, ...(isOrdered ? lines : lines.sort())]
}

const textOf = (number: unknown) =>
  typeof number === 'string' ? number : `not a text: ${JSON.stringify(number)}`

/** Of two sums of the same numbers in another order only the last digits differ. */
const SHARE_MAX = 1e-9

/** Two answers; where all that differs of a line is last digits, the first has that of the second. */
export function alike(ours: string[], theirs: string[]): [string[], string[]] {
  return [ours.map((line, i) => (isAlike(line, theirs[i] ?? '') ? theirs[i]! : line)), theirs]
}

function isAlike(line: string, other: string): boolean {
  const [words, others] = [line.split(' '), other.split(' ')]
  return words.length === others.length && words.every((word, i) => isAlikeWord(word, others[i]!))
}

function isAlikeWord(word: string, other: string): boolean {
  if (word === other) return true
  const [at, number] = word.split(':')
  const [otherAt, otherNumber] = other.split(':')
  const [a, b] = [Number(number), Number(otherNumber)]
  return at === otherAt && Math.abs(a - b) <= SHARE_MAX * Math.max(Math.abs(a), Math.abs(b))
}
