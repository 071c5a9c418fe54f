import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';

/** A Postgres that a test may stop, crash and start again. */
export interface OwnPostgres {
  readonly url: string;
  readonly dataFolder: string;
  restart(mode: 'fast' | 'immediate'): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again after a stop, with the same data and URL. */
  start(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-restart-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(folder, 0o711);
  const dataFolder = join(folder, 'postgres');
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dataFolder });
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    url: server.url,
    dataFolder,
    restart: (mode) => server.restart(mode),
    stop: () => server.stop(),
    start: async () => {
      server = await startEmbeddedPostgres({ dataFolder });
    },
  };
}
