import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';

export interface ScratchPostgres {
  readonly url: string;
  readonly version: string;
  /** Stops it and removes its data. */
  stop(): Promise<void>;
}

/**
 * A Postgres with data of its own that goes when it stops. ONCEWARD_TEST_POSTGRES_BIN names the `bin` folder of another one; default:
 * the embedded one. Durability stays on.
 */
export async function startScratchPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<ScratchPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-scratch-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(folder, 0o711);
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  let server: EmbeddedPostgres;
  try {
    const binFolder = process.env['ONCEWARD_TEST_POSTGRES_BIN'];
    server = await startEmbeddedPostgres({
      dataFolder: join(folder, 'postgres'),
      settings,
      ...(binFolder === undefined ? {} : { binFolder }),
    });
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    url: server.url,
    version: server.version,
    stop: async () => {
      await server.stop();
      await remove();
    },
  };
}
