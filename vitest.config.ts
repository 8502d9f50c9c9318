import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

// Two projects: `node` for the pure folders, in milliseconds; `workerd` for what needs the real
// runtime, Durable Objects included. Programs of others are test/interop, apart (npm run test:interop).

/** A shared machine may be slow; a test that hangs is still found. */
const testTimeout = 30_000

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: [
            'test/{ingest,block,query,match,prune,count,logql,archive,fuzz,process}/**/*.test.ts',
            'test/*.test.ts',
          ],
          environment: 'node',
          testTimeout,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.jsonc' },
            miniflare: { bindings: { ADMIN_KEY: 'test-admin-key' } },
          }),
        ],
        test: {
          name: 'workerd',
          include: ['test/{shard,tenant,api,flow}/**/*.test.ts'],
          testTimeout,
        },
      },
    ],
  },
})
