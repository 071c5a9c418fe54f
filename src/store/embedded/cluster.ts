import { execFile } from 'node:child_process';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.js';
import { makePrivateFolder, removeAbandonedWork, workInProgress } from './folders.js';
import { superuser } from './database.js';
import type { ServerUser } from './server-user.js';

const run = promisify(execFile);

/** Makes sure there is a cluster (Postgres' word for a data directory) these binaries can serve. */
export async function ensureCluster(
  clusterFolder: string,
  binaries: Binaries,
  user: ServerUser,
): Promise<void> {
  const found = await clusterVersion(clusterFolder);
  if (found === undefined) return createCluster(clusterFolder, binaries, user);
  if (found === binaries.major) return;
  throw new Error(
    `${clusterFolder} was made by Postgres ${found} and can't be served by Postgres ${binaries.major}; ` +
      `use binaries of version ${found}, upgrade it with pg_upgrade, or start with another data folder`,
  );
}

async function clusterVersion(clusterFolder: string): Promise<string | undefined> {
  try {
    return (await readFile(`${clusterFolder}/PG_VERSION`, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`can't read the cluster in ${clusterFolder}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Made elsewhere and renamed when finished, so that a kill in the middle leaves no half-made cluster. */
async function createCluster(clusterFolder: string, binaries: Binaries, user: ServerUser): Promise<void> {
  const dataFolder = dirname(clusterFolder);
  await removeAbandonedWork(dataFolder);
  const work = workInProgress(clusterFolder);
  try {
    await makePrivateFolder(work, user);
    await initdb(work, binaries, user);
    await rename(work, clusterFolder);
    await syncFolder(dataFolder);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another instance may have been quicker; Postgres' own lock then decides which of us serves it.
    if ((await clusterVersion(clusterFolder)) === undefined) throw error;
  }
}

async function initdb(folder: string, binaries: Binaries, user: ServerUser): Promise<void> {
  const locale = ['-E', 'UTF8', '--locale=C'];
  // Trust is enough for the socket because only the server's user and root can enter its folder; nothing is for TCP.
  const access = ['-U', superuser, '--auth-local=trust', '--auth-host=reject'];
  try {
    await run(binaries.initdb, ['-D', folder, ...access, ...locale], {
      ...user.spawnAs,
      cwd: folder,
      env: { LC_ALL: 'C', TZ: 'UTC' },
    });
  } catch (error) {
    const said = (error as { readonly stderr?: string }).stderr?.trim();
    throw new Error(`initdb failed as ${user.name}: ${said || (error as Error).message}`, { cause: error });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
