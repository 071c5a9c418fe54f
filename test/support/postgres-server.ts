import type { TestProject } from 'vitest/node';
import { startScratchPostgres } from './scratch-postgres.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres for this run, with the postgres database to connect to. */
    readonly postgresUrl: string;
  }
}

/** One Postgres for the whole run. Durability stays on, as the coordinator insists. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startScratchPostgres({ max_connections: '400', shared_buffers: '256MB' });
  project.provide('postgresUrl', server.url);
  return () => server.stop();
}
