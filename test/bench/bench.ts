/**
 * `npm run bench`: full cycles (claim + complete, unique keys, durable) through a coordinator, and beside it, in the same
 * rounds on the same Postgres, pgbench sending the same two statements row by row.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { startChild, startServe, type Child } from '../support/child.js';
import { putNamespace } from '../support/namespaces.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { parentOf } from './cpu.js';
import {
  measureCoordinator,
  measurePgbench,
  type CoordinatorRound,
  type PgbenchRound,
  type Rig,
} from './measure.js';
import { preparePgbench } from './pgbench.js';
import { bar, ratioOf, reportOf, type Measured } from './report.js';
import { sample } from './sample.js';

const help = `npm run bench -- [options]

Claim + complete cycles per second through a coordinator, beside pgbench sending the same statements.

  --quick         a minute instead of three and a half
  --rounds <n>    interleaved rounds after the warm-up, at least 1 (default 7, quick 3)
  --seconds <n>   whole seconds of each measurement (default 5, quick 2)
  --cpu-prof <f>  write a CPU profile of the coordinator into folder f
  --help          this text

Exit code 1 below ${bar.ratio} × pgbench at ${bar.inFlight} in flight.
`;

const concurrencies = [16, 64];

interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly nodeFlags: readonly string[];
}

const plan = planOf();
if (plan === undefined) process.stdout.write(help);
else await bench(plan);

function planOf(): Plan | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: { quick: flag, help: flag, rounds: text, seconds: text, 'cpu-prof': text },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 7));
  const seconds = Number(values.seconds ?? (values.quick ? 2 : 5));
  if (!(rounds >= 1 && Number.isInteger(seconds) && seconds >= 1)) throw new Error(help);
  const profile = values['cpu-prof'];
  return {
    rounds,
    seconds,
    nodeFlags: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  };
}

async function bench({ rounds, seconds, nodeFlags }: Plan): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  const stopAll = async () => {
    for (const step of undo.reverse().splice(0)) await step();
  };
  process.once('SIGINT', () => {
    void stopAll().finally(() => process.exit(130));
  });
  try {
    const rig = await startRig(nodeFlags, undo);
    const measured = await measureRounds(rig, rounds, seconds);
    process.stdout.write(`\n${reportOf(measured)}\n\n`);
    const judged = measured.find(({ inFlight }) => inFlight === bar.inFlight);
    const ratio = judged === undefined ? NaN : ratioOf(judged);
    process.stdout.write(
      `${ratio.toFixed(2)} × pgbench at ${bar.inFlight} in flight; the bar is ${bar.ratio}.\n`,
    );
    if (!(ratio >= bar.ratio)) process.exitCode = 1;
  } finally {
    await stopAll();
  }
}

async function startRig(nodeFlags: readonly string[], undo: (() => Promise<unknown>)[]): Promise<Rig> {
  const scriptFolder = await mkdtemp(join(tmpdir(), 'onceward-bench-'));
  undo.push(() => rm(scriptFolder, { recursive: true, force: true }));
  // 64 clients of pgbench beside the coordinator; nothing else differs from what Postgres ships.
  const postgres = await startScratchPostgres({ max_connections: '150' });
  undo.push(() => postgres.stop());
  const pgbench = await preparePgbench(postgres.url, join(scriptFolder, 'cycle.sql'));
  const coordinator = await startServe(postgres.url, { nodeFlags });
  undo.push(() => coordinator.stop());
  await declareNamespace(coordinator.address);
  const load: Child = startChild(['test/bench/load.ts', coordinator.address], { ipc: true });
  undo.push(() => load.stop());
  const { facts, postmasterPid } = await inspect(postgres.url);
  process.stdout.write(
    `${facts}\n${pgbench.version}, -M prepared, the same statements\n` +
      `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB; everything shares this machine\n\n`,
  );
  return { coordinatorPid: coordinator.pid, postmasterPid, load, pgbench };
}

async function declareNamespace(address: string): Promise<void> {
  const connection = connectCoordinator({ address });
  await putNamespace(connection, sample.namespace);
  connection.close();
}

async function inspect(
  url: string,
): Promise<{ readonly facts: string; readonly postmasterPid: number | undefined }> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ pid: number; version: string } & Record<string, string>>(
    `SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit, current_setting('shared_buffers') AS shared_buffers,
       (SELECT partition_count::text FROM onceward.store_instance) AS partition_count`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('Postgres did not tell its settings');
  const { pid, version, ...settings } = row;
  const postmasterPid = parentOf(pid);
  await client.end();
  const facts = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return { facts: `Postgres ${version}: ${facts.join(', ')}`, postmasterPid };
}

async function measureRounds(rig: Rig, rounds: number, seconds: number): Promise<readonly Measured[]> {
  const all = concurrencies.map((inFlight) => {
    return { inFlight, coordinator: [] as CoordinatorRound[], pgbench: [] as PgbenchRound[] };
  });
  for (let round = 0; round <= rounds; round += 1) {
    for (const { inFlight, coordinator, pgbench } of all) {
      // Who goes first alternates, so that what drifts over the run favours neither.
      const viaPgbench = round % 2 === 1 ? await measurePgbench(rig, inFlight, seconds) : undefined;
      const viaCoordinator = await measureCoordinator(rig, inFlight, seconds);
      const other = viaPgbench ?? (await measurePgbench(rig, inFlight, seconds));
      const name = round === 0 ? 'warm-up' : `round ${round} of ${rounds}`;
      const rates = [viaCoordinator, other].map(({ cyclesPerSecond }) => cyclesPerSecond.toFixed(0));
      process.stdout.write(
        `${name}, ${inFlight} in flight: coordinator ${rates[0]}/s, pgbench ${rates[1]}/s\n`,
      );
      if (round === 0) continue;
      coordinator.push(viaCoordinator);
      pgbench.push(other);
    }
  }
  return all;
}
