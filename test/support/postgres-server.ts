import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres for this run, with the postgres database to connect to. */
    readonly postgresUrl: string;
  }
}

/**
 * One Postgres for the whole run. ONCEWARD_TEST_POSTGRES_BIN names the `bin` folder of another version; default: the
 * embedded one. Durability stays on, as the coordinator insists.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'onceward-test-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(dataFolder, 0o711);
  const binFolder = process.env['ONCEWARD_TEST_POSTGRES_BIN'];
  const server = await startEmbeddedPostgres({
    dataFolder: join(dataFolder, 'postgres'),
    settings: { max_connections: '400', shared_buffers: '256MB' },
    ...(binFolder === undefined ? {} : { binFolder }),
  });
  project.provide('postgresUrl', server.url);
  return async () => {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  };
}
