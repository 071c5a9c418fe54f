import { spawnSync } from 'node:child_process';
import { configDefaults, defineConfig } from 'vitest/config';

/** Whether a program is there; a machine with only Node and npm may have none of these. */
const has = (program: string, ...args: readonly string[]) => spawnSync(program, args).status === 0;
const needing = [
  // Makes the certificate.
  ...(has('openssl', 'version') ? [] : ['test/store/tls.test.ts']),
  ...(has('promtool', '--version') ? [] : ['test/deploy/promtool.test.ts']),
  ...(has('prometheus', '--version') ? [] : ['test/deploy/prometheus.test.ts']),
];

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...needing],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more files at once only make each other slow.
    maxWorkers: 2,
  },
});
