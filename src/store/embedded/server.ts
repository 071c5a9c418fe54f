import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Binaries } from './binaries.js';
import { DataFolderInUse } from './data-folder-in-use.js';
import { socketPort } from './folders.js';
import {
  evictOwnServer,
  isReady,
  ownerSetting,
  type Place,
  postmasterPid,
  waitUntilVacant,
} from './occupant.js';
import { openServerLog, readTail, type ServerLog } from './server-log.js';
import type { ServerUser } from './server-user.js';
import { startWatchdog, type Watchdog } from './watchdog.js';

/** Recovery after a crash reads up to max_wal_size of log before the server takes connections. */
const startTimeoutMs = 60_000;
/** Longer than a watchdog needs to stop a server whose owner died. */
const vacancyTimeoutMs = 15_000;
/** A fast shutdown writes a checkpoint; beyond this the next start's recovery is the cheaper way out. */
const fastStopTimeoutMs = 30_000;
const immediateStopTimeoutMs = 15_000;
const pollMs = 10;

export interface ServerPlan {
  readonly place: Place;
  readonly binaries: Binaries;
  readonly user: ServerUser;
  readonly settings: Readonly<Record<string, string>>;
}

/** Resolves when the server takes connections. Postgres' own lock on the cluster decides between rivals. */
export async function startServer(plan: ServerPlan): Promise<Watchdog> {
  const vacancyDeadline = Date.now() + vacancyTimeoutMs;
  for (;;) {
    await waitUntilVacant(plan.place, vacancyDeadline);
    const log = await openServerLog(join(plan.place.dataFolder, 'server.log'), plan.user);
    const watchdog = await startWatchdog({
      command: serverCommand(plan),
      folder: plan.place.dataFolder,
      logDescriptor: log.handle.fd,
      user: plan.user,
    }).finally(() => log.handle.close());
    if (await becomesReady(plan.place, watchdog, log)) return watchdog;
    const said = await readTail(log);
    if (!isOccupiedMessage(said)) throw new Error(`Postgres didn't start; the end of ${log.path}:\n${said}`);
    if (Date.now() > vacancyDeadline) {
      throw new DataFolderInUse(plan.place.dataFolder, (await postmasterPid(plan.place)) ?? 0);
    }
    await pause(pollMs * 5);
  }
}

export async function stopServer(
  place: Place,
  watchdog: Watchdog,
  mode: 'fast' | 'immediate',
): Promise<void> {
  watchdog.signal(mode === 'fast' ? 'INT' : 'QUIT');
  const gone = await watchdog.waitForExit(mode === 'fast' ? fastStopTimeoutMs : immediateStopTimeoutMs);
  if (!gone) {
    watchdog.signal('QUIT');
    await watchdog.waitForExit(immediateStopTimeoutMs);
  }
  // A watchdog that was itself killed is gone as well, but its server isn't.
  await evictOwnServer(place, Date.now() + immediateStopTimeoutMs);
  watchdog.abandon();
}

/** Ours come last, because for Postgres the last word counts. */
function serverCommand(plan: ServerPlan): readonly string[] {
  const { clusterFolder, socketFolder } = plan.place;
  const settings = {
    ...plan.settings,
    listen_addresses: '',
    port: String(socketPort),
    // It is a list, in which a quoted name may hold commas and spaces.
    unix_socket_directories: `"${socketFolder.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return [plan.binaries.postgres, '-D', clusterFolder, ...flags, '-c', ownerSetting()];
}

/** False when the server ended by itself. */
async function becomesReady(place: Place, watchdog: Watchdog, log: ServerLog): Promise<boolean> {
  const deadline = Date.now() + startTimeoutMs;
  while (!watchdog.hasExited()) {
    if (await isReady(place, watchdog.serverPid)) return true;
    if (Date.now() > deadline) {
      watchdog.abandon();
      const said = await readTail(log);
      throw new Error(
        `Postgres took no connections for ${startTimeoutMs} ms; the end of ${log.path}:\n${said}`,
      );
    }
    await pause(pollMs);
  }
  return false;
}

/**
 * A rival was quicker, or processes of a killed server are still about to notice its death. Postgres speaks English
 * here because it runs under the locale C.
 */
function isOccupiedMessage(said: string): boolean {
  return /lock file ".*" already exists|pre-existing shared memory block/.test(said);
}
