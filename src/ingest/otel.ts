// The JSON text of `metadata.otel`: what OTLP says of a record beside its columns. Few texts serve
// most records, so those of one context are kept, by event name.

const TEXTS_MAX = 256

export class OtelTexts {
  /** Characters of all texts made: those of records that share one count once. */
  madeLength = 0
  readonly #texts = new Map<string, string | null>()
  #flags = 0
  #dropped = 0
  #context = ''

  /**
   * `context` are the members of resource and scope, each with a comma behind it; `time` is that
   * sent, where it is none we can keep.
   */
  textOf(
    flags: number,
    dropped: number,
    context: string,
    event: string,
    time: string,
  ): string | null {
    if (time !== '') {
      const text = otelText(flags, dropped, context, event, time)
      this.madeLength += text.length
      return text
    }
    if (
      flags !== this.#flags ||
      dropped !== this.#dropped ||
      context !== this.#context ||
      this.#texts.size >= TEXTS_MAX
    ) {
      this.#flags = flags
      this.#dropped = dropped
      this.#context = context
      this.#texts.clear()
    }
    const known = this.#texts.get(event)
    if (known !== undefined) return known
    const text = otelText(flags, dropped, context, event, '')
    this.madeLength += text.length
    this.#texts.set(event, text || null)
    return text || null
  }
}

/** '' for no members. */
function otelText(
  flags: number,
  dropped: number,
  context: string,
  event: string,
  time: string,
): string {
  const members =
    (flags === 0 ? '' : `"flags":${flags},`) +
    (dropped === 0 ? '' : `"dropped_attributes_count":${dropped},`) +
    context +
    (event === '' ? '' : `"event_name":${JSON.stringify(event)},`) +
    (time === '' ? '' : `"time_unix_nano":"${time}",`)
  return members === '' ? '' : `{${members.slice(0, -1)}}`
}
