// How a scan is cut: by the clock where it runs, and by nothing where it stands still.

import { afterEach, describe, expect, it, vi } from 'vitest'
import { Cancelled, Pace, Slices } from '../../src/tenant/slices.ts'

/** The pieces that rows are visited in, each of which takes so long. */
async function piecesOf(count: number, pace: Pace, rowsMax: number, msARow: number) {
  let nowMs = 1_000_000
  vi.spyOn(Date, 'now').mockImplementation(() => nowMs)
  const slices = new Slices(undefined)
  const rows = Array.from({ length: count }, (_, row) => row)
  const pieces: number[][] = []
  await slices.inPieces(rows, pace, rowsMax, (piece) => {
    pieces.push(piece)
    nowMs += piece.length * msARow
  })
  expect(pieces.flat()).toEqual(rows)
  return pieces.map(({ length }) => length)
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('rows in pieces', () => {
  const MANY = Number.POSITIVE_INFINITY

  it('are ever more at once while they cost nothing', async () => {
    const pace = new Pace()
    expect(await piecesOf(500, pace, MANY, 0)).toEqual([32, 64, 128, 256, 20])
    expect(await piecesOf(500, pace, MANY, 0)).toEqual([500])
  })

  it('are no more than may be', async () => {
    expect(await piecesOf(100, new Pace(), 40, 0)).toEqual([32, 40, 28])
  })

  it('are fewer where they take longer than a slice', async () => {
    const pace = new Pace()
    expect(await piecesOf(64, pace, MANY, 1)).toEqual([32, 16, 8, 8])
    expect(await piecesOf(20, pace, MANY, 10)).toEqual([8, 4, 2, ...Array(6).fill(1)])
    expect(pace.rows).toBe(1)
  })

  it('of which there are none are not visited', async () => {
    expect(await piecesOf(0, new Pace(), MANY, 1)).toEqual([])
  })
})

describe('a request that was cancelled', () => {
  it('ends at the next look', () => {
    const slices = new Slices(AbortSignal.abort())
    expect(() => slices.check()).toThrow(Cancelled)
  })
})
