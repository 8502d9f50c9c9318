// The steps of an export as a body. Nothing is read before the client takes what went before, and what
// is held is one step: its records become text in pieces, each when it is asked for.

import type { Result } from '../result.ts'
import type { ExportStep } from '../tenant/export.ts'
import type { Lines } from './format.ts'

/** Characters of one piece: a body in very small ones costs a call each. */
const PIECE_CHARS = 64 * 1024

/**
 * The body of an export whose first step is read already. When a step fails the body is broken off, so
 * that no client takes it for whole, and `onBroken` told. Where the format has a line for it, the last
 * one says what is lacking.
 */
export function recordStream(
  first: ExportStep,
  steps: AsyncGenerator<Result<ExportStep>, void>,
  lines: Lines,
  { onBroken, onCancel }: { onBroken: (e: unknown) => void; onCancel: () => void },
): ReadableStream<Uint8Array> {
  const pieces = piecesOf(first, steps, lines)
  const encoder = new TextEncoder()
  let isCancelled = false
  const source: UnderlyingSource<Uint8Array> = {
    async pull(controller) {
      try {
        const { done, value } = await pieces.next()
        if (isCancelled) return
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value))
      } catch (e) {
        // What was being read when the client left fails, and nobody is left to be told.
        if (isCancelled) return
        onBroken(e)
        controller.error(e)
      }
    },
    cancel() {
      isCancelled = true
      onCancel()
      // A step that is being read ends by the signal; this ends what waits for the next one.
      pieces.return().catch(onBroken)
    },
  }
  return new ReadableStream(source, { highWaterMark: 0 })
}

/** `step` is let go as soon as it is text: two of them are never held. */
async function* piecesOf(
  step: ExportStep | null,
  steps: AsyncGenerator<Result<ExportStep>, void>,
  lines: Lines,
): AsyncGenerator<string, void> {
  try {
    let piece = lines.header
    let gaps: ExportStep['gaps'] = []
    while (step !== null) {
      for (const record of step.records) {
        piece += lines.line(record)
        if (piece.length < PIECE_CHARS) continue
        yield piece
        piece = ''
      }
      gaps = step.gaps
      step = null
      const next = await steps.next()
      if (next.done) break
      if (!next.value.ok) {
        const { error } = next.value
        if (piece !== '' || lines.errorLine) yield piece + (lines.errorLine?.(error) ?? '')
        throw new Error(`the export ended with ${JSON.stringify(error)}`)
      }
      step = next.value.data
    }
    if (gaps.length > 0) {
      const message = 'some records can not be read and are left out'
      const error = { code: 'unavailable', message, details: { partial_reasons: gaps } } as const
      piece += lines.errorLine?.(error) ?? ''
    }
    if (piece !== '') yield piece
  } finally {
    await steps.return()
  }
}
