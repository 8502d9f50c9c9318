// Builds the programs before any test file is read, in vitest's own process, so that what is
// skipped and why stands on the screen: at the start and, as the last lines, at the end.

import type { TestProject } from 'vitest/node'
import { buildPrograms, type Programs } from './programs.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    programs: Programs
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const programs = await buildPrograms((line) => console.log(line))
  const skipped = Object.entries(programs).flatMap(([name, program]) =>
    'missing' in program ? [`interop: SKIPPED ${name}: ${program.missing}`] : [],
  )
  const say = () => {
    for (const line of skipped) console.error(line)
  }
  say()
  if (skipped.length > 0 && process.env.INTEROP_REQUIRED === '1') {
    throw new Error(`${skipped.length} of the programs could not be built`)
  }
  project.provide('programs', programs)
  return say
}
