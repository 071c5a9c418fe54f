import { defineConfig } from 'vitest/config';

/** Of its own, as `npm test` must not need Python. */
export default defineConfig({
  test: {
    include: ['test/interop/*.interop.ts'],
    globalSetup: ['test/support/postgres-server.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
