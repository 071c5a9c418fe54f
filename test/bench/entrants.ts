import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { said, startChild } from '../support/child.js';
import { cpuMsOf, endedChildrenCpuMsOf, familyCpuMsOf } from './cpu.js';
import type { LoadOrder, LoadReport } from './contestant.js';
import type { Load } from './load.js';
import { startLoadGenerator } from './load-generator.js';
import { preparePgbench } from './pgbench.js';
import { startRestate } from './restate.js';
import type { Venue } from './venue.js';

/** Somebody in the contest, before it is started. */
export interface Entrant {
  readonly what: string;
  /** What survives what, once an operation was answered. */
  readonly durability: string;
  readonly takes: (load: Load) => boolean;
  /** It needs what `installPeers` installs. */
  readonly needs?: 'redis-server' | 'pgbench' | 'packages';
  readonly start: (venue: Venue) => Promise<Started>;
}

export interface Started {
  readonly run: (order: LoadOrder) => Promise<EntrantReport>;
  /** CPU used so far by the processes beside the one that makes the load, ms. */
  readonly cpuMs: Readonly<Record<string, () => number | undefined>>;
  /** Processes that go on working when nobody calls them: they stand still while others have their turn. */
  readonly restless?: readonly number[];
}

/** pgbench does not tell latencies by itself. */
export type EntrantReport = Pick<LoadReport, 'operations' | 'perSecond' | 'cpuMs'> & Partial<LoadReport>;

const all = () => true;
const synced = 'committed and synced by Postgres before it is answered';
const aof = 'in Redis’ append-only file and synced before it is answered (appendfsync always)';

const table = {
  sdk: {
    what: 'our SDK, `guard` around a function, through a coordinator',
    durability: synced,
    takes: all,
    start: async (venue) => {
      const { address, pid } = await venue.coordinator();
      return contestant(venue, 'contestants/sdk.ts', [address], {
        coordinator: () => cpuMsOf(pid),
        ...(await postgresCpu(venue)),
      });
    },
  },
  unary: {
    what: 'the plain generated gRPC client, Begin and Complete, through the same coordinator',
    durability: synced,
    takes: all,
    start: async (venue) => {
      const { address, pid } = await venue.coordinator();
      return contestant(venue, 'contestants/unary.ts', [address], {
        coordinator: () => cpuMsOf(pid),
        ...(await postgresCpu(venue)),
      });
    },
  },
  'pg-pool': {
    what: 'two named statements by hand, node-postgres, pool of 20, in the service’s process',
    durability: synced,
    takes: all,
    start: async (venue) =>
      contestant(venue, 'contestants/pg-pool.ts', [(await venue.postgres()).url], await postgresCpu(venue)),
  },
  pgbench: {
    what: 'our own two statements one by one, from C',
    durability: synced,
    takes: ({ mix, inFlight }) => mix === 'unique' && inFlight <= 64,
    needs: 'pgbench',
    start: startPgbench,
  },
  'node-idempotency': {
    what: '`@node-idempotency/core` in the service’s process, on Redis',
    durability: 'none: in Redis’ memory',
    takes: all,
    needs: 'redis-server',
    start: (venue) => onRedis(venue, 'peers/node-idempotency.ts', 'none'),
  },
  'node-idempotency-always': {
    what: '`@node-idempotency/core` in the service’s process, on Redis',
    durability: aof,
    takes: all,
    needs: 'redis-server',
    start: (venue) => onRedis(venue, 'peers/node-idempotency.ts', 'always'),
  },
  'powertools-always': {
    what: '`@aws-lambda-powertools/idempotency` in the service’s process, on Redis',
    durability: aof,
    takes: all,
    needs: 'redis-server',
    start: (venue) => onRedis(venue, 'peers/powertools.ts', 'always'),
  },
  dbos: {
    what: 'a DBOS workflow of one step in the service’s process, on the same Postgres',
    durability: synced,
    takes: all,
    needs: 'packages',
    start: async (venue) => {
      const url = new URL((await venue.postgres()).url);
      url.pathname = '/dbos';
      const started = await contestant(venue, 'peers/dbos.ts', [url.href], await postgresCpu(venue));
      return { ...started, restless: [started.pid] };
    },
  },
  restate: {
    what: 'a Restate handler, called through its HTTP ingress with an idempotency key',
    durability: 'in the log of a Restate of one node and synced before it is answered',
    takes: all,
    needs: 'packages',
    start: startWithRestate,
  },
  echo: {
    what: 'one unary call of grpc-js that does nothing: a ceiling, not a contestant',
    durability: 'nothing is stored',
    takes: ({ mix }) => mix === 'unique',
    start: async (venue) => {
      const server = startChild(['test/bench/contestants/echo-server.ts', join(venue.folder, 'echo.sock')]);
      await venue.undo(() => server.stop());
      const address = await said(server, 'out', /./);
      return contestant(venue, 'contestants/echo.ts', [address], { server: () => cpuMsOf(server.pid) });
    },
  },
} satisfies Readonly<Record<string, Entrant>>;

export type EntrantName = keyof typeof table;

export const entrants: Readonly<Record<EntrantName, Entrant>> = table;
export const entrantNames = Object.keys(table) as readonly EntrantName[];

async function contestant(
  venue: Venue,
  file: string,
  args: readonly string[],
  cpuMs: Started['cpuMs'],
): Promise<Started & { readonly pid: number }> {
  const flags = file === 'contestants/sdk.ts' ? venue.profileFlags : [];
  const generator = startLoadGenerator(file, args, flags);
  await venue.undo(() => generator.stop());
  return { run: (order) => generator.order(order), cpuMs, pid: generator.pid };
}

async function postgresCpu(venue: Venue): Promise<Started['cpuMs']> {
  const { pid } = await venue.postgres();
  return { postgres: () => (pid === undefined ? undefined : familyCpuMsOf(pid)) };
}

async function onRedis(venue: Venue, file: string, durability: 'none' | 'always'): Promise<Started> {
  const { path, pid } = await venue.redis(durability);
  return contestant(venue, file, [path], { redis: () => cpuMsOf(pid) });
}

async function startWithRestate(venue: Venue): Promise<Started> {
  const service = startChild(['test/bench/peers/restate-service.ts']);
  await venue.undo(() => service.kill());
  const server = await startRestate(venue.folder, Number(await said(service, 'out', /^\d+$/)));
  await venue.undo(() => server.stop());
  const started = await contestant(venue, 'peers/restate.ts', [String(server.ingressPort)], {
    restate: () => cpuMsOf(server.pid),
    service: () => cpuMsOf(service.pid),
  });
  return { ...started, restless: [server.pid, service.pid] };
}

async function startPgbench(venue: Venue): Promise<Started> {
  // It makes the schema.
  await venue.coordinator();
  const { url } = await venue.postgres();
  const pgbench = await preparePgbench(url, join(venue.folder, 'cycle.sql'));
  return {
    run: async ({ inFlight, durationMs }) => {
      const before = endedChildrenCpuMsOf(process.pid) ?? NaN;
      const { cycles, cyclesPerSecond } = await pgbench.run(inFlight, Math.ceil(durationMs / 1000));
      // Until its backends are gone: one that ends while the processes are read is counted nowhere.
      await pause(200);
      const cpuMs = (endedChildrenCpuMsOf(process.pid) ?? NaN) - before;
      return { operations: cycles, perSecond: cyclesPerSecond, cpuMs };
    },
    cpuMs: await postgresCpu(venue),
  };
}
