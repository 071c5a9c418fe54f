import { defineConfig } from 'vitest/config';

/** Of its own, as it installs packages, which `npm test` must not need. */
export default defineConfig({
  test: {
    include: ['test/deploy/*.build.ts'],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 60_000,
    hookTimeout: 300_000,
  },
});
