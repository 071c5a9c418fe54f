import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Whom Postgres runs as: it refuses root, so root has to lend it somebody. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** True when this process is root and the server is not. */
  readonly dropped: boolean;
  /** To be spread into the options of a spawn; empty when the user is already ours. */
  readonly spawnAs: { readonly uid?: number; readonly gid?: number };
}

/**
 * @param clusterFolder Postgres only serves a cluster that belongs to its own user, so as root the owner of an
 *   existing one wins over the users we would choose.
 */
export async function chooseServerUser(clusterFolder: string): Promise<ServerUser> {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  if (uid === undefined || gid === undefined) {
    throw new Error(
      `embedded Postgres needs a Unix system, not ${process.platform}; set ONCEWARD_DATABASE_URL`,
    );
  }
  if (uid !== 0) return { name: `uid ${uid}`, uid, gid, dropped: false, spawnAs: {} };
  const owner = await stat(clusterFolder).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0) return dropTo(`uid ${owner.uid}`, owner.uid, owner.gid);
  return unprivilegedUser(await readFile('/etc/passwd', 'utf8').catch(() => ''));
}

/** Asks the kernel, as the server user, rather than computing modes: access lists and mounts have a say too. */
export async function assertReachable(folder: string, user: ServerUser, what: string): Promise<void> {
  if (!user.dropped) return;
  const script = 'for folder; do [ -x "$folder" ] || { printf %s "$folder"; exit; }; done';
  const { stdout: barred } = await run('/bin/sh', ['-c', script, 'sh', ...withParents(folder)], {
    ...user.spawnAs,
    cwd: '/',
  });
  if (barred === '') return;
  throw new Error(
    `${what} ${folder} can't be reached by the user Postgres runs as (${user.name}), because Postgres refuses root: ` +
      `${barred} isn't open to that user; choose another folder, or run: chmod o+x ${barred}`,
  );
}

function unprivilegedUser(passwd: string): ServerUser {
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const found = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(passwd);
    if (found !== null && found[1] !== '0') return dropTo(name, Number(found[1]), Number(found[2]));
  }
  throw new Error(
    'Postgres refuses to run as root, and /etc/passwd has neither a user postgres nor nobody to run it as; ' +
      'run as a normal user or set ONCEWARD_DATABASE_URL',
  );
}

function dropTo(name: string, uid: number, gid: number): ServerUser {
  return { name, uid, gid, dropped: true, spawnAs: { uid, gid } };
}

function withParents(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [...withParents(parent), folder];
}
