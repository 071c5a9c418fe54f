import { createHash } from 'node:crypto';
import { chmod, chown, lchown, lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { identify } from './process-identity.js';
import type { ServerUser } from './server-user.js';

/** The socket's name carries the port; the port is the same for everybody because every server has its own folder. */
export const socketPort = 5432;

/** The shortest `sun_path` among the systems we run on (macOS: 104 bytes, one of them the closing zero). */
const socketPathMaxBytes = 103;

/** Root's lies outside its home, which is closed to the user the server runs as. */
export function defaultDataFolder(): string {
  if (process.getuid?.() === 0) return '/var/lib/onceward/postgres';
  return join(personalFolder('XDG_DATA_HOME', '.local/share', 'a data folder'), 'onceward', 'postgres');
}

/** Undefined for a user without a home: the caller then keeps the binaries beside the data. */
export function defaultCacheFolder(): string | undefined {
  if (process.getuid?.() === 0) return '/var/cache/onceward';
  try {
    return join(personalFolder('XDG_CACHE_HOME', '.cache', 'a cache folder'), 'onceward');
  } catch {
    return undefined;
  }
}

export function socketPath(socketFolder: string): string {
  return join(socketFolder, `.s.PGSQL.${socketPort}`);
}

/** Makes the folder if it is missing, for the server user alone; an existing one keeps its owner and mode. */
export async function makeDataFolder(folder: string, user: ServerUser): Promise<string> {
  const wanted = resolve(folder);
  try {
    await makeFolders(wanted, user.dropped ? 0o755 : 0o700, async () => {
      await chmod(wanted, 0o700);
      if (user.dropped) await chown(wanted, user.uid, user.gid);
    });
    return await realpath(wanted);
  } catch (error) {
    throw new Error(
      `can't make the data folder ${wanted}: ${(error as Error).message}; name one that can be written, or set ` +
        'ONCEWARD_DATABASE_URL to a Postgres of yours',
      { cause: error },
    );
  }
}

/** Makes a folder and its parents, with this mode whatever the umask says; `onMade` runs if the last one is new. */
export async function makeFolders(folder: string, mode: number, onMade?: () => Promise<void>): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await chmod(made, mode);
  await onMade?.();
}

/**
 * The folder the socket lives in. Everybody who can enter it is a superuser of the database, so its owner and mode
 * are the access control, and a folder somebody else prepared in a shared place is refused.
 */
export async function makeSocketFolder(dataFolder: string, user: ServerUser): Promise<string> {
  const folder = socketFolderOf(dataFolder, user);
  await makePrivateFolder(folder, user);
  return folder;
}

export async function makePrivateFolder(folder: string, user: ServerUser): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  const found = await lstat(folder);
  if (!found.isDirectory()) throw new Error(`${folder} has to be a folder; remove it`);
  if ((found.mode & 0o077) !== 0)
    throw new Error(`${folder} is open to other users; run: chmod 700 ${folder}`);
  if (found.uid === user.uid) return;
  // Only root makes folders that belong to root, so this one is ours: new, or from a start that was killed here.
  if (user.dropped && found.uid === 0) return lchown(folder, user.uid, user.gid);
  throw new Error(`${folder} belongs to uid ${found.uid} and Postgres would run as ${user.name}; remove it`);
}

/** The pid in the name lets whoever comes later tell work under way from what a killed process left behind. */
export function workInProgress(target: string): string {
  return `${target}.making-${process.pid}-${Math.random().toString(36).slice(2, 10)}`;
}

/** Best effort: what can't be removed now is tried again by the next start. */
export async function removeAbandonedWork(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const maker = /\.making-(\d+)-\w+$/.exec(name)?.[1];
    if (maker === undefined || identify(Number(maker)) !== undefined) continue;
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function socketFolderOf(dataFolder: string, user: ServerUser): string {
  const short = `onceward-${user.uid}-${createHash('sha256').update(dataFolder).digest('hex').slice(0, 16)}`;
  const candidates = [join(dataFolder, 'socket'), join(tmpdir(), short), join('/tmp', short)];
  const fitting = candidates.find((folder) => Buffer.byteLength(socketPath(folder)) <= socketPathMaxBytes);
  return fitting ?? join('/tmp', short);
}

/** The environment is read here and not in config, because these are the system's conventions, not our settings. */
function personalFolder(variable: string, belowHome: string, what: string): string {
  const configured = process.env[variable];
  // The XDG specification wants relative paths ignored.
  if (configured?.startsWith('/')) return configured;
  try {
    return join(homedir(), belowHome);
  } catch (error) {
    throw new Error(`can't choose ${what}: this user has no home; set ${variable} or name the folder`, {
      cause: error,
    });
  }
}
