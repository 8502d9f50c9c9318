// `| decolorize`: the line without the codes that colour it on a terminal.

import type { Step } from './stage.ts'

/** Runs of digits and letters are bounded: a line of nothing else must not be searched from each of them. */
const ANSI =
  /[\x1b\x9b][[\]()#;?]*(?:(?:[a-zA-Z\d]{0,256}(?:;[a-zA-Z\d]{0,256}){0,64})?\x07|(?:\d{1,4}(?:;\d{0,4}){0,64})?[\dA-PRZcf-ntqry=><~])/g

export class DecolorizeStage implements Step {
  run(line: string): string {
    return line.includes('\x1b') || line.includes('\x9b') ? line.replace(ANSI, '') : line
  }
}
