// What `env` of cloudflare:workers holds in the workerd tests.
declare namespace Cloudflare {
  interface Env extends Omit<import('../src/env.ts').Env, never> {}
}
