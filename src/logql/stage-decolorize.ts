// `| decolorize`: the line without the codes that colour it on a terminal.

import type { Step } from './stage.ts'

/** Each run is bounded, so that no line is searched to its end from each of its escapes. */
const ANSI =
  /[\x1b\x9b][[\]()#;?]{0,16}(?:[a-zA-Z\d;]{0,1024}\x07|(?:\d{1,4}(?:;\d{0,4}){0,64})?[\dA-PRZcf-ntqry=><~])/g

export class DecolorizeStage implements Step {
  run(line: string): string {
    return line.includes('\x1b') || line.includes('\x9b') ? line.replace(ANSI, '') : line
  }
}
