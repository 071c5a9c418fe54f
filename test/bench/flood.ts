/**
 * `npx tsx test/bench/flood.ts [options]`: what others notice when one namespace sends four times what the coordinator can do.
 * Its capacity is measured first; then a caller in another namespace makes a hundred cycles a second (Begin, Heartbeat,
 * Complete), undisturbed and beside the flood, in turns.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import * as hdr from 'hdr-histogram-js';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { connectOnceward, type Onceward } from '../../src/index.js';
import { putNamespace } from '../support/namespaces.js';
import { startLoadGenerator, type LoadGenerator } from './load-generator.js';
import { median } from './results.js';
import { sample } from './sample.js';
import { startCoordinator } from './start-coordinator.js';
import { startPostgres } from './start-postgres.js';
import { wholeNumber } from './whole-number.js';
import { withUndo, type Undo } from './with-undo.js';

const bars = { p99Ratio: 3, success: 0.999 };
const callsPerSecond = 100;

const { values } = parseArgs({
  options: {
    factor: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
  },
});
const factor = wholeNumber('factor', values.factor);
const rounds = wholeNumber('rounds', values.rounds);
const durationMs = wholeNumber('seconds', values.seconds) * 1000;

interface Noticed {
  readonly beginP99Ms: number;
  readonly begins: number;
  readonly beginsFailed: number;
  /** Heartbeats and Completes. */
  readonly others: number;
  readonly othersFailed: number;
}

await withUndo(flood);

async function flood(undo: Undo): Promise<void> {
  const { onceward, flooding, readFinished } = await start(undo);
  const capacity = (await flooding.order({ inFlight: 256, durationMs })).perSecond;
  const rate = Math.round(capacity * factor);
  say(`capacity ${capacity.toFixed(0)} cycles/s; the flood is ${rate}/s`);
  await callFor(onceward, 2000);
  const [unloaded, flooded]: [Noticed[], Noticed[]] = [[], []];
  for (let round = 1; round <= rounds; round += 1) {
    const alone = await callFor(onceward, durationMs);
    const finished = await readFinished();
    const startTime = performance.now();
    const [beside, report] = await Promise.all([
      callFor(onceward, durationMs),
      flooding.order({ inFlight: 1, durationMs, rate }),
    ]);
    const elapsedMs = performance.now() - startTime;
    const finishedPerSecond = (((await readFinished()) - finished - beside.others / 2) / elapsedMs) * 1000;
    unloaded.push(alone);
    flooded.push(beside);
    say(
      `round ${round} of ${rounds}: alone ${line(alone)}; beside a flood, ${report.perSecond.toFixed(0)}/s of it answered or given up, ${finishedPerSecond.toFixed(0)}/s finished, ${line(beside)}`,
    );
  }
  judge(unloaded, flooded);
}

interface Started {
  readonly onceward: Onceward;
  readonly flooding: LoadGenerator;
  /** Cycles that the coordinator ever finished. */
  readonly readFinished: () => Promise<number>;
}

async function start(undo: Undo): Promise<Started> {
  const postgres = await startPostgres(undo);
  const { address } = await startCoordinator(undo, postgres.url);
  const connection = connectCoordinator({ address });
  for (const name of [sample.namespace, 'flood']) await putNamespace(connection, name);
  await undo(() => {
    connection.close();
  });
  const readFinished = async () => {
    const { counters } = await connection.admin.getStats({});
    return Number(counters['complete.done']);
  };
  const onceward = connectOnceward({ addresses: [address], namespace: sample.namespace });
  await undo(() => onceward.close());
  const flooding = startLoadGenerator('contestants/flood.ts', [address, 'flood']);
  await undo(() => flooding.stop());
  return { onceward, flooding, readFinished };
}

/** A hundred cycles a second, each begun on time whatever is still under way. */
async function callFor(onceward: Onceward, forMs: number): Promise<Noticed> {
  const latencies = hdr.build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
  const failed = { begin: 0, other: 0 };
  let others = 0;
  const { namespace, scope, operation, fingerprint, result } = sample;
  const cycle = async (dueTime: number) => {
    // A timer may fire a little early.
    const fromTime = Math.min(dueTime, performance.now());
    const ref = { namespace, scope, key: randomUUID() };
    const begun = await onceward.calls
      .begin({ ref, operation, fingerprint, attemptId: randomUUID() })
      .catch(() => undefined);
    latencies.recordValue(Math.round((performance.now() - fromTime) * 1000));
    if (begun?.outcome?.$case !== 'execute') {
      failed.begin += 1;
      return;
    }
    const { fencingToken } = begun.outcome.value;
    others += 2;
    await onceward.calls.heartbeat({ ref, fencingToken }).catch(() => (failed.other += 1));
    await onceward.calls.complete({ ref, fencingToken, result }).catch(() => (failed.other += 1));
  };
  const startTime = performance.now();
  const count = (forMs / 1000) * callsPerSecond;
  const underWay: Promise<void>[] = [];
  while (underWay.length < count) {
    const dueTime = startTime + (underWay.length * 1000) / callsPerSecond;
    const earlyMs = dueTime - performance.now();
    if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs));
    underWay.push(cycle(dueTime));
  }
  await Promise.all(underWay);
  return {
    beginP99Ms: latencies.getValueAtPercentile(99) / 1000,
    begins: count,
    beginsFailed: failed.begin,
    others,
    othersFailed: failed.other,
  };
}

function judge(unloaded: readonly Noticed[], flooded: readonly Noticed[]): void {
  const p99s = (all: readonly Noticed[]) => all.map(({ beginP99Ms }) => beginP99Ms);
  // The medians' ratio: a single round has too few calls for a p99 of its own to be divided by.
  const ratio = median(p99s(flooded)) / median(p99s(unloaded));
  const sum = (of: (noticed: Noticed) => number) => flooded.reduce((total, each) => total + of(each), 0);
  const success = 1 - sum(({ othersFailed }) => othersFailed) / sum(({ others }) => others);
  const met = (passed: boolean) => {
    if (!passed) process.exitCode = 1;
    return passed ? 'met' : 'missed';
  };
  say(
    `Begin p99 of others: ${ratio.toFixed(1)} × the undisturbed; at most ${bars.p99Ratio} ×: ${met(ratio <= bars.p99Ratio)}`,
  );
  say(
    `Heartbeat and Complete: ${(100 * success).toFixed(2)} % succeed; at least ${100 * bars.success} %: ${met(success >= bars.success)}`,
  );
}

function line({ beginP99Ms, begins, beginsFailed, others, othersFailed }: Noticed): string {
  return (
    `Begin p99 ${beginP99Ms.toFixed(1)} ms, ${beginsFailed} of ${begins} failed, ` +
    `${othersFailed} of ${others} Heartbeats and Completes failed`
  );
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
