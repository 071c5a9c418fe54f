/**
 * `npx tsx test/cleanup/bound.ts [--minutes 10] [--rate 500] [--retention-ms 60000]`: records arrive steadily in a real
 * Postgres, the real tick runs every 10 s with the settings the program starts with, and after each tick all rows are
 * counted: is the overhang within its bound, do the intervals hold what is there?
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { tick } from '../../src/cleanup/tick.js';
import { estimateStore } from '../../src/core/estimate.js';
import { completePolicy } from '../../src/core/policy.js';
import type { SweptPartition } from '../../src/core/sweep-target.js';
import { openTestStore } from '../support/store.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { seededRandom } from '../support/seeded-random.js';
import { table } from '../support/table.js';
import { Arrivals, namespaces } from './arrivals.js';
import { Judged } from './coverage.js';
import { Census, type Counted } from './census.js';
import { defaultSettings } from './synthetic-target.js';
import { overhangBound, unluckyThreshold } from './theory.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '500' },
    'retention-ms': { type: 'string', default: '60000' },
  },
});
const rate = Number(values.rate);
const retentionMs = Number(values['retention-ms']);
const durationMs = Number(values.minutes) * 60_000;
const intervalMs = 10_000;
const { threshold, batchPages } = defaultSettings;

const surroundings = {
  random: seededRandom(1),
  clock: () => performance.now(),
  pause: (ms: number) => sleep(ms),
  signal: new AbortController().signal,
};

const postgres = await startScratchPostgres();
const opened = await openTestStore(postgres.url, { migrate: true });
const arrivals = new Arrivals(postgres.url, rate, retentionMs);
const census = new Census(postgres.url, opened.sweepTarget);
try {
  for (const name of namespaces) {
    await opened.store.putNamespace(name, completePolicy({}), randomBytes(32), 'tester');
  }
  await arrivals.start();
  await census.start();
  await measure();
} finally {
  await arrivals.stop();
  await census.stop();
  await opened.close();
  await postgres.stop();
}

interface Round {
  readonly before: Counted;
  readonly after: Counted;
}

async function measure(): Promise<void> {
  const judged: Record<string, Judged> = {};
  const rounds: Round[] = [];
  const batchMs: number[] = [];
  const startTime = performance.now();
  for (let nextTime = startTime + intervalMs; nextTime <= startTime + durationMs; nextTime += intervalMs) {
    await sleep(nextTime - performance.now());
    // Until then nothing has expired, and the first ticks are no steady state.
    const warm = nextTime > startTime + retentionMs + 2 * intervalMs;
    const before = await census.count();
    census.forget();
    let batches = 0;
    const outcome = await tick(census.target, defaultSettings, surroundings, (_, __, tookMs) => {
      batches += 1;
      batchMs.push(tookMs);
    });
    const after = await census.count();
    const partitions = await census.target.readPartitions();
    report((nextTime - startTime) / 1000, before, after, partitions, `${batches} batches, ${outcome}`);
    if (!warm) continue;
    rounds.push({ before, after });
    judge(judged, after, partitions);
  }
  summarise(rounds, judged, batchMs);
}

function report(
  second: number,
  before: Counted,
  after: Counted,
  partitions: readonly SweptPartition[],
  how: string,
): void {
  const { live, expired } = estimateOf(partitions);
  const pages = partitions.reduce((sum, { pageCount }) => sum + pageCount, 0);
  const whole = (value: number) => value.toFixed(0);
  const interval = ({ rows, low, high }: typeof live) => `${whole(rows)} [${whole(low)}, ${whole(high)}]`;
  process.stdout.write(
    `${whole(second)} s: ${pages} pages, overhang ${before.now} → ${after.now}; live ${after.all.live}, estimated ` +
      `${interval(live)}; expired ${after.all.expired}, estimated ${interval(expired)}; ${how}\n`,
  );
}

function estimateOf(partitions: readonly SweptPartition[]) {
  return estimateStore(partitions.map(({ sample }) => sample).filter((sample) => sample !== undefined));
}

function judge(
  judged: Record<string, Judged>,
  { all, byNamespace, byPartition }: Counted,
  partitions: readonly SweptPartition[],
): void {
  const add = (
    what: string,
    estimates: Pick<ReturnType<typeof estimateOf>, 'live' | 'expired'>,
    truth: typeof all,
  ) => {
    for (const kind of ['live', 'expired'] as const) {
      (judged[`${kind}${what}`] ??= new Judged()).add(estimates[kind], truth[kind]);
    }
  };
  const estimates = estimateOf(partitions);
  add('', estimates, all);
  for (const [namespace, truth] of byNamespace) {
    const ofNamespace = estimates.namespaces.get(namespace);
    if (ofNamespace !== undefined) add(' of a namespace', ofNamespace, truth);
  }
  for (const partition of partitions) {
    add(
      ' of a partition',
      estimateOf([partition]),
      byPartition.get(partition.name) ?? { live: 0, expired: 0 },
    );
  }
}

function summarise(
  rounds: readonly Round[],
  judged: Readonly<Record<string, Judged>>,
  batchMs: readonly number[],
): void {
  const mean = (all: readonly number[]) => all.reduce((sum, each) => sum + each, 0) / all.length;
  const live = mean(rounds.map(({ before }) => before.all.live));
  const arrived = (rate * intervalMs) / 1000;
  const partitions = rounds[0]?.after.byPartition.size ?? 0;
  const unlucky = unluckyThreshold(threshold, batchPages * partitions);
  const overhang = mean(
    rounds.map(({ before }, i) => (before.now + (rounds[i - 1]?.after.now ?? before.now)) / 2),
  );
  const rows = [
    ['overhang: expired rows still there', 'measured', 'bound'],
    ['mean', overhang.toFixed(0), overhangBound(live, arrived, threshold).toFixed(0)],
    [
      'most',
      String(Math.max(...rounds.map(({ before }) => before.now))),
      overhangBound(live, arrived, unlucky).toFixed(0),
    ],
  ];
  const shares = Object.entries(judged).map(([what, each]) => [
    what,
    String(each.times),
    `${(100 * each.share).toFixed(1)} %`,
    `${((100 * (each.rows - each.truth)) / Math.max(1, each.truth)).toFixed(1)} %`,
  ]);
  const sorted = [...batchMs].sort((a, b) => a - b);
  const quantile = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).toFixed(1);
  process.stdout.write(
    `\n${rate} records/s, ${retentionMs / 1000} s retention, ${rounds.length} ticks, ${partitions} partitions, ` +
      `${arrivals.rows} records came\n\n${table(rows)}\n\n` +
      `${table([['estimates', 'times', 'interval holds', 'mean error'], ...shares])}\n\n` +
      `batches: ${batchMs.length}, median ${quantile(0.5)} ms, 99 % below ${quantile(0.99)} ms\n`,
  );
}
