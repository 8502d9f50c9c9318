// What tests ask of Loki's doors, as its clients do: the key as a password.

import { expect } from 'vitest'
import { postLogs, request } from '../flow/client.ts'

type Parameters = Record<string, string | string[]>

export const basic = (key: string) => ({ Authorization: `Basic ${btoa(`any:${key}`)}` })

export function formOf(parameters: Parameters): URLSearchParams {
  const form = new URLSearchParams()
  for (const [name, values] of Object.entries(parameters)) {
    for (const value of [values].flat()) form.append(name, value)
  }
  return form
}

export const lokiGet = (
  key: string,
  path: string,
  parameters: Parameters = {},
  headers: Record<string, string> = {},
) =>
  request(`/loki/api/v1/${path}?${formOf(parameters)}`, { headers: { ...basic(key), ...headers } })

export const lokiPost = (key: string, path: string, parameters: Parameters) =>
  request(`/loki/api/v1/${path}`, {
    method: 'POST',
    headers: { ...basic(key), 'Content-Type': 'application/x-www-form-urlencoded' },
    body: formOf(parameters).toString(),
  })

/** The body of an answer that is a success. */
export async function bodyOf<T>(answer: Promise<Response>): Promise<T> {
  const response = await answer
  const text = await response.text()
  expect(response.status, text).toBe(200)
  return JSON.parse(text) as T
}

/** `data` of `{status: 'success', data}`. */
export async function dataOf<T>(answer: Promise<Response>): Promise<T> {
  const { status, data } = await bodyOf<{ status: string; data: T }>(answer)
  expect(status).toBe('success')
  return data
}

export interface Stats {
  summary: Record<string, number>
}
export interface Streams {
  resultType: string
  encodingFlags?: string[]
  result: { stream: Record<string, string>; values: [string, string, object?][] }[]
  stats: Stats
}
export interface Matrix {
  resultType: string
  result: { metric: Record<string, string>; values: [number, string][] }[]
}
export interface Vector {
  resultType: string
  result: { metric: Record<string, string>; value: [number, string] }[]
  stats: Stats
}

/** A failure is plain text. */
export async function refusal(answer: Promise<Response>, status: number): Promise<string> {
  const response = await answer
  const text = await response.text()
  expect(response.status, text).toBe(status)
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
  return text
}

/** Half past nine of a day that is over. */
export const START_MS = Date.UTC(2026, 5, 1, 9, 30)
export const RANGE = { start: `${START_MS}000000`, end: `${START_MS + 3_600_000}000000` }

/** Records so many seconds after the start. */
export async function send(
  key: string,
  ...records: (Record<string, unknown> & { at: number })[]
): Promise<void> {
  const logs = records.map(({ at, ...record }) => ({
    timestamp: START_MS + at * 1000,
    service: 'shop',
    ...record,
  }))
  expect((await postLogs(key, logs)).status).toBe(200)
}
