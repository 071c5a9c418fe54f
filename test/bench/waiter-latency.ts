/**
 * `tsx test/bench/waiter-latency.ts [rounds]`: from the call of Complete to the waiter's answer, when both are at one
 * coordinator process and when they are at two. Prints a line for each case; exit code 1 when a p99 is over the bar.
 */
import { build as buildHistogram } from 'hdr-histogram-js';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, counterOf, expectOutcome, refOf, result } from '../support/calls.js';
import { startServe } from '../support/child.js';
import { putNamespace } from '../support/namespaces.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { until } from '../support/until.js';

/** p99, ms. */
const bar = 50;
const warmUpRounds = 50;
const rounds = Number(process.argv[2] ?? 500);

const undo: (() => unknown)[] = [];
try {
  const postgres = await startScratchPostgres();
  undo.push(() => postgres.stop());
  const [one, other] = [await connect(postgres.url), await connect(postgres.url)];
  await putNamespace(one, 'test');
  for (const [name, finisher] of [
    ['same process', one],
    ['two processes', other],
  ] as const) {
    const histogram = buildHistogram();
    for (let round = -warmUpRounds; round < rounds; round += 1) {
      const tookMs = await measure(`${name} ${round}`.replaceAll(' ', '-'), one, finisher);
      if (round >= 0) histogram.recordValue(Math.round(tookMs * 1000));
    }
    const [p50, p99, max] = [50, 99, 100].map((percent) => histogram.getValueAtPercentile(percent) / 1000);
    process.stdout.write(
      `waiter latency, ${name}: p50 ${p50?.toFixed(1)} ms, p99 ${p99?.toFixed(1)} ms, most ${max?.toFixed(1)} ms ` +
        `(${rounds} rounds)\n`,
    );
    if (p99 === undefined || p99 > bar) process.exitCode = 1;
  }
} finally {
  for (const step of undo.reverse()) await step();
}

async function connect(databaseUrl: string): Promise<CoordinatorConnection> {
  const child = await startServe(databaseUrl);
  undo.push(() => child.stop());
  const connection = connectCoordinator({ address: child.address });
  undo.push(() => {
    connection.close();
  });
  return connection;
}

async function measure(
  key: string,
  waitsAt: CoordinatorConnection,
  finishesAt: CoordinatorConnection,
): Promise<number> {
  const { fencingToken } = expectOutcome(await waitsAt.coordinator.begin(beginRequest(key)), 'execute');
  const before = await counterOf(waitsAt, 'begin.waited');
  const waiting = waitsAt.coordinator.begin(beginRequest(key, { wait: durationOf(20_000) }));
  await until('it waits', async () => (await counterOf(waitsAt, 'begin.waited')) > before);
  const startTime = performance.now();
  const completing = finishesAt.coordinator.complete({ ref: refOf(key), fencingToken, result: result('ok') });
  expectOutcome(await waiting, 'replay');
  const tookMs = performance.now() - startTime;
  await completing;
  return tookMs;
}
