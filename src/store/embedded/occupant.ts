import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DataFolderInUse } from './data-folder-in-use.js';
import { socketPath } from './folders.js';
import { commandLine, existsAtAll, identify, isAlive, type ProcessIdentity } from './process-identity.js';

const pollMs = 20;

/** Where a server keeps its things; all of it below one data folder, but for a socket whose path would be too long. */
export interface Place {
  readonly dataFolder: string;
  readonly clusterFolder: string;
  readonly socketFolder: string;
}

/**
 * The setting that makes a server say on its own command line who started it. A record in a file could outlive the
 * server it speaks of; the command line can't.
 */
export function ownerSetting(): string {
  const self = identify(process.pid);
  return `onceward.owner=${process.pid}@${self?.start ?? ''}`;
}

/**
 * Returns when no server is left in the cluster. A server whose owner died is on its way out (its watchdog stops it,
 * and if that was killed too, we do), so it is waited for until the deadline.
 *
 * @throws DataFolderInUse at once when the owner lives, and at the deadline otherwise.
 */
export async function waitUntilVacant(place: Place, deadline: number): Promise<void> {
  let told = false;
  for (;;) {
    const occupant = await findOccupant(place);
    if (occupant === undefined) return;
    const { owner, serverPid } = occupant;
    if (owner === undefined) throw new DataFolderInUse(place.dataFolder, serverPid);
    if (isAlive(owner)) throw new DataFolderInUse(place.dataFolder, owner.pid);
    if (Date.now() > deadline) throw new DataFolderInUse(place.dataFolder, serverPid);
    if (!told) signal(serverPid, 'SIGINT');
    told = true;
    await pause(pollMs);
  }
}

/** For the owner itself: waits for its server to go, telling it directly in case the watchdog no longer can. */
export async function evictOwnServer(place: Place, deadline: number): Promise<void> {
  const own = ownerSetting();
  for (let told = false; ; told = true) {
    const serverPid = await postmasterPid(place);
    if (serverPid === undefined || !commandLine(serverPid).includes(own)) return;
    if (Date.now() > deadline) throw new Error(`Postgres (process ${serverPid}) doesn't stop`);
    if (!told) signal(serverPid, 'SIGINT');
    await pause(pollMs);
  }
}

export async function postmasterPid(place: Place): Promise<number | undefined> {
  const pid = Number((await postmasterLines(place))[0]);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** The eighth line of postmaster.pid is Postgres' own word on whether it takes connections. */
export async function isReady(place: Place, serverPid: number): Promise<boolean> {
  const lines = await postmasterLines(place);
  return Number(lines[0]) === serverPid && lines[7]?.trim() === 'ready';
}

interface Occupant {
  readonly serverPid: number;
  /** Undefined when something else than this launcher started the server. */
  readonly owner: ProcessIdentity | undefined;
}

async function findOccupant(place: Place): Promise<Occupant | undefined> {
  const serverPid = await postmasterPid(place);
  if (serverPid === undefined) return undefined;
  const command = identify(serverPid) === undefined ? [] : commandLine(serverPid);
  if (/^(postgres|postmaster)$/.test(basename(command[0] ?? ''))) {
    return { serverPid, owner: ownerIn(command) };
  }
  // A container that shares the volume has pids of its own; its socket answers across that border.
  if (await answers(socketPath(place.socketFolder))) return { serverPid, owner: undefined };
  await removeMisleadingLocks(place, serverPid);
  return undefined;
}

function ownerIn(command: readonly string[]): ProcessIdentity | undefined {
  for (const argument of command) {
    const found = /^onceward\.owner=(\d+)@(.*)$/.exec(argument);
    if (found !== null) return { pid: Number(found[1]), start: found[2] ?? '' };
  }
  return undefined;
}

/**
 * Postgres removes the locks of dead servers itself, but takes a reused pid or an unreaped zombie for a living one, and
 * a container, where pids are few, would then never start again. Its shared memory check still guards the data. The
 * file is read once more because a rival may have replaced it.
 */
async function removeMisleadingLocks(place: Place, serverPid: number): Promise<void> {
  if (!existsAtAll(serverPid) || (await postmasterPid(place)) !== serverPid) return;
  await rm(join(place.clusterFolder, 'postmaster.pid'), { force: true });
  await rm(`${socketPath(place.socketFolder)}.lock`, { force: true });
}

async function postmasterLines(place: Place): Promise<readonly string[]> {
  try {
    return (await readFile(join(place.clusterFolder, 'postmaster.pid'), 'utf8')).split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function signal(pid: number, name: 'SIGINT'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone, or not ours to signal; the caller's deadline speaks for both.
  }
}
