import { defineConfig } from 'vitest/config'

// Programs of others deliver logs into the product, each a process. One file at a time: the machine
// is small, and a program that is starved of CPU misses its own deadlines.
export default defineConfig({
  test: {
    name: 'interop',
    root: import.meta.dirname,
    include: ['*.test.ts'],
    environment: 'node',
    globalSetup: ['./setup.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
