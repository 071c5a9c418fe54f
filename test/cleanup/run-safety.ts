import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { tick, type TickSettings } from '../../src/cleanup/tick.js';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import type { SweepTarget } from '../../src/core/sweep-target.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { durationOf, retentionOf } from '../../src/rpc/duration.js';
import { openStore } from '../../src/store/open-store.js';
import { refOf } from '../support/calls.js';
import type { TestDatabase } from '../support/database.js';
import { putNamespace } from '../support/namespaces.js';
import { seededRandom } from '../support/seeded-random.js';
import { storeOptions } from '../support/store.js';
import { KeyCaller, type CallerCounts } from './key-caller.js';
import type { KeyPolicy } from './key-model.js';
import type { Sabotage } from './sabotage.js';
import { clearSweepLog, readSweepLog } from './sweep-log.js';

export interface SafetyOptions {
  readonly database: Pick<TestDatabase, 'url' | 'query'>;
  /** Their own samplers off; the sweep log is installed. */
  readonly coordinators: readonly CoordinatorConnection[];
  /** In the names of the namespaces. */
  readonly name: string;
  readonly seed: number;
  /** At most. */
  readonly durationMs: number;
  /** Callers at once, each with a key. */
  readonly callers: number;
  readonly retentionMs: number;
  /** Default: the sampler as it is. */
  readonly sabotage?: Sabotage;
  /** Asked now and then; true ends the run. */
  readonly enough: (sofar: SafetyReport) => boolean;
  /** How often, ms. */
  readonly enoughMs: number;
}

export interface SafetyCounts extends CallerCounts {
  ticks: number;
  /** As the sweeps told. */
  toldRemoved: number;
  toldStripped: number;
  /** As the tables' triggers logged. */
  removed: number;
  stripped: number;
  renewed: number;
}

export interface SafetyReport {
  readonly counts: Readonly<SafetyCounts>;
  /** Answers that time alone does not explain. */
  readonly wrongAnswers: readonly string[];
  /** Rows and results that went too early. */
  readonly wrongSweeps: readonly string[];
}

/** A hundred times as often as by default. */
const tickMs = 100;
const settings: TickSettings = {
  // Few, so that a tick draws several times and a pass takes several ticks.
  batchPages: 2,
  threshold: 0.1,
  backstopMs: 2000,
  timeBudgetMs: 1000,
  rowBudget: 50_000,
  // A busy machine is no reason to sweep less here.
  maxLatencyMs: 60_000,
  maxReplicationLagMs: 60_000,
};
const rpcSweepMs = 700;

/** Callers at work on keys that expire all the time, while two samplers and Sweep calls remove what is expired. */
export async function runSafety(options: SafetyOptions): Promise<SafetyReport> {
  const { database, coordinators, name, seed, durationMs, callers, sabotage, enoughMs } = options;
  const { query, url } = database;
  const policies = policiesOf(options.retentionMs);
  for (const [suffix, policy] of Object.entries(policies)) {
    await declare(coordinators[0]!, `${name}-${suffix}`, policy);
  }
  await clearSweepLog(database);
  const counts = newCounts();
  const wrongAnswers: string[] = [];
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal);
  const report = async (): Promise<SafetyReport> => {
    const { removed, stripped, renewed, violations } = await readSweepLog(database);
    return {
      counts: Object.assign(counts, { removed, stripped, renewed }),
      wrongAnswers,
      wrongSweeps: violations,
    };
  };
  const random = seededRandom(seed);
  const stores = [await openStore(storeOptions(url)), await openStore(storeOptions(url))];
  const targets = stores.map(({ sweepTarget }) => sabotage?.(sweepTarget, query) ?? sweepTarget);
  const samplers = targets.map((target) => sampleUntil(signal, target, seededRandom(seed + 1), counts));
  const sweeping = sweepByCallUntil(signal, coordinators, `${name}-rerun`, counts);
  const working = Array.from({ length: callers }, (_, i) => {
    const [suffix, policy] = Object.entries(policies)[i % Object.keys(policies).length]!;
    const caller = new KeyCaller({
      coordinators,
      query,
      policy,
      refOf: (life) => refOf(`key-${i}-${life}`, `${name}-${suffix}`),
      random: seededRandom(Math.floor(random() * 2 ** 31)),
      counts,
      onWrong: (text) => wrongAnswers.push(text),
    });
    return caller.work(signal);
  });
  const endTime = performance.now() + durationMs;
  do await sleep(enoughMs);
  while (performance.now() < endTime && !options.enough(await report()));
  stop.abort();
  await Promise.all([...working, ...samplers, sweeping]);
  for (const store of stores) await store.close();
  return report();
}

function policiesOf(resultRetentionMs: number): Readonly<Record<string, KeyPolicy>> {
  const policy = (onLapse: KeyPolicy['onLapse'], tombstoneRetentionMs: number): KeyPolicy => ({
    onLapse,
    resultRetentionMs,
    tombstoneRetentionMs,
    abandonedRetentionMs: 60_000,
  });
  return {
    rerun: policy('RERUN', 0),
    tombstone: policy('RERUN', resultRetentionMs),
    park: policy('PARK', 0),
    'park-tombstone': policy('PARK', resultRetentionMs / 2),
    forever: { ...policy('RERUN', 0), resultRetentionMs: Infinity },
  };
}

async function declare(to: CoordinatorConnection, namespace: string, policy: KeyPolicy): Promise<void> {
  await putNamespace(to, namespace, {
    onLapse: OnLapse[policy.onLapse],
    maxLease: durationOf(30_000),
    resultRetention: retentionOf(policy.resultRetentionMs),
    tombstoneRetention: retentionOf(policy.tombstoneRetentionMs),
    abandonedRetention: retentionOf(policy.abandonedRetentionMs),
  });
}

async function sampleUntil(
  signal: AbortSignal,
  target: SweepTarget,
  random: () => number,
  counts: SafetyCounts,
): Promise<void> {
  const surroundings = {
    random,
    clock: () => performance.now(),
    pause: () => Promise.resolve(),
    signal,
  };
  while (!signal.aborted) {
    const next = pause(tickMs, signal);
    await tick(target, settings, surroundings, (_, swept) => {
      for (const rows of swept?.removed.values() ?? []) counts.toldRemoved += rows;
      for (const rows of swept?.stripped.values() ?? []) counts.toldStripped += rows;
    });
    counts.ticks += 1;
    await next;
  }
}

/** By turns of all namespaces, of one, and only looking. */
async function sweepByCallUntil(
  signal: AbortSignal,
  coordinators: readonly CoordinatorConnection[],
  namespace: string,
  counts: SafetyCounts,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn += 1) {
    const { admin } = coordinators[turn % coordinators.length]!;
    const dryRun = turn % 3 === 2;
    let pageToken = '';
    do {
      const swept = await admin.sweep({ namespace: turn % 3 === 1 ? namespace : '', dryRun, pageToken });
      pageToken = swept.nextPageToken;
      if (dryRun) continue;
      counts.toldRemoved += Number(swept.removed);
      counts.toldStripped += Number(swept.stripped);
    } while (pageToken !== '');
    await pause(rpcSweepMs, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, { signal }).catch(() => undefined);
}

function newCounts(): SafetyCounts {
  return {
    operations: 0,
    unknown: 0,
    replays: 0,
    resultExpired: 0,
    newLives: 0,
    uncertain: 0,
    ticks: 0,
    toldRemoved: 0,
    toldStripped: 0,
    removed: 0,
    stripped: 0,
    renewed: 0,
  };
}
