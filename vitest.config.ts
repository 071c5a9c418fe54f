import { spawnSync } from 'node:child_process';
import { configDefaults, defineConfig } from 'vitest/config';

/** Makes the certificate of the TLS tests; a machine with only Node and npm may not have it. */
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(hasOpenssl ? [] : ['test/store/tls.test.ts'])],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only make each other slow.
    maxWorkers: 2,
  },
});
