// The JSON text of `metadata.otel`: what OTLP says of a record beside its columns. Few texts serve
// most records, so those of one context are kept, by event name.

const TEXTS_MAX = 256

export class OtelTexts {
  readonly #texts = new Map<string, string | null>()
  #flags = 0
  #dropped = 0
  #context = ''

  /** `context` are the members of resource and scope, each with a comma behind it. */
  textOf(flags: number, dropped: number, context: string, event: string): string | null {
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
    let text = this.#texts.get(event)
    if (text === undefined) {
      text = otelText(flags, dropped, context, event, '')
      this.#texts.set(event, text)
    }
    return text
  }
}

/** One text, with the time as sent where it is none we can keep; null for no members. */
export function otelText(
  flags: number,
  dropped: number,
  context: string,
  event: string,
  time: string,
): string | null {
  const members =
    (flags === 0 ? '' : `"flags":${flags},`) +
    (dropped === 0 ? '' : `"dropped_attributes_count":${dropped},`) +
    context +
    (event === '' ? '' : `"event_name":${JSON.stringify(event)},`) +
    (time === '' ? '' : `"time_unix_nano":"${time}",`)
  return members === '' ? null : `{${members.slice(0, -1)}}`
}
