/**
 * `npx tsx test/cleanup/bound.ts [--minutes 10] [--rate 500]`: records arrive steadily and expire after a minute; the real sampler ticks over a
 * real Postgres with its default settings. After each tick everything is counted, and compared with the bound that
 * src/cleanup/README.md derives and with the estimates.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { realSurroundings } from '../../src/cleanup/surroundings.js';
import { tick } from '../../src/cleanup/tick.js';
import { samplerSettings } from '../../src/cli/run-server.js';
import { loadConfig } from '../../src/config.js';
import { estimateStore, type Estimate, type Estimates } from '../../src/core/estimate.js';
import { migrate } from '../../src/store/migrate.js';
import { openStore, type OpenStore } from '../../src/store/open-store.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { storeOptions } from '../support/store.js';
import { Judged } from './coverage.js';
import { overhangBound, unluckyThreshold } from './theory.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '500' } },
});
const minutes = Number(values.minutes);
const perSecond = Number(values.rate);
const retentionMs = 60_000;
const tickMs = 10_000;
const partitionCount = 16;
const arrivedRows = (perSecond * tickMs) / 1000;
const namespaces = ['orders', 'payments', 'refunds'];
const settings = samplerSettings(loadConfig(undefined));

const say = (text: string) => void process.stdout.write(`${text}\n`);
const postgres = await startScratchPostgres();
await migrate(postgres.url, partitionCount);
const opened = await openStore(storeOptions(postgres.url));
const client = new pg.Client(postgres.url);
await client.connect();

async function run(): Promise<void> {
  await client.query(
    `INSERT INTO onceward.namespace
     SELECT n, 'RERUN', 30000, 3600000, NULL, 60000, 60000, 0, 60000, 1048576, true, decode(repeat('00', 32), 'hex')
     FROM unnest($1::text[]) n`,
    [namespaces],
  );
  const arrivals = new AbortController();
  const arriving = arrive(arrivals.signal);
  const judge = new Judge();
  const endTime = performance.now() + minutes * 60_000;
  say(`${perSecond} records a second, retention ${retentionMs / 1000} s, a tick every ${tickMs / 1000} s`);
  try {
    for (let at = 1; performance.now() < endTime; at += 1) {
      const nextTime = performance.now() + tickMs;
      const steady = at * tickMs > 2 * retentionMs;
      if (steady) judge.noteBefore(await countExpired());
      const outcome = await tick(opened.sweepTarget, settings, surroundings, (_, __, durationMs) =>
        judge.batchMs.push(durationMs),
      );
      const line = judge.note(await countAll(), await estimates(opened), steady);
      say(`${String((at * tickMs) / 1000).padStart(5)} s  ${outcome.padEnd(6)}  ${line}`);
      await sleep(Math.max(0, nextTime - performance.now()));
    }
  } finally {
    arrivals.abort();
    await arriving;
  }
  judge.report();
}

const surroundings = realSurroundings(new AbortController().signal);

/** Ten batches a second, straight into the table: what expires here is finished work. */
async function arrive(signal: AbortSignal): Promise<void> {
  const writer = new pg.Client(postgres.url);
  await writer.connect();
  const startTime = performance.now();
  let arrived = 0;
  try {
    while (!signal.aborted) {
      const due = Math.floor(((performance.now() - startTime) / 1000) * perSecond);
      if (due > arrived) {
        await writer.query(
          `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, finish_time,
           result_expire_time, record_expire_time, operation, result_code, result_digest, result_envelope, result_payload)
         SELECT ($1::text[])[1 + (i % 3)::int], '', 'arrived-' || md5(i::text), 'COMPLETED', 'RERUN', 1, i + 1, now(), now(), e, e,
           'charge', 0, '\\x01', '\\x00', decode(repeat('61', 256), 'hex')
         FROM generate_series($2::bigint, $3::bigint - 1) i, (SELECT now() + $4 * interval '1 millisecond' AS e) e`,
          [namespaces, arrived, due, retentionMs],
        );
        arrived = due;
      }
      await sleep(100);
    }
  } finally {
    await writer.end();
  }
}

interface Truth {
  readonly partition: string;
  readonly namespace: string;
  readonly live: number;
  readonly expired: number;
  /** Also what expired since the sample. */
  readonly expiredNow: number;
}

/**
 * What the sampler never does. As of the time of each partition's sample: what expired or arrived since is no error of the
 * estimate.
 */
async function countAll(): Promise<readonly Truth[]> {
  const { rows } = await client.query<Record<string, string | null>>(
    `SELECT s.partition, r.namespace,
       count(r.key) FILTER (WHERE r.record_expire_time > s.time AND r.create_time <= s.time) AS live,
       count(r.key) FILTER (WHERE r.record_expire_time <= s.time) AS expired,
       count(r.key) FILTER (WHERE r.record_expire_time <= now()) AS expired_now
     FROM (
       SELECT partition, to_timestamp((sample ->> 'time')::float8 / 1000) AS time FROM onceward.partition_sweep
       WHERE sample IS NOT NULL
     ) s
     LEFT JOIN (onceward.record r JOIN pg_class c ON c.oid = r.tableoid) ON c.relname = s.partition
     GROUP BY s.partition, r.namespace`,
  );
  return rows.map(({ partition, namespace, live, expired, expired_now: expiredNow }) => ({
    partition: partition ?? '',
    namespace: namespace ?? '',
    live: Number(live),
    expired: Number(expired),
    expiredNow: Number(expiredNow),
  }));
}

async function countExpired(): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    'SELECT count(*) FROM onceward.record WHERE record_expire_time <= now()',
  );
  return Number(rows[0]?.count);
}

async function estimates({ sweepTarget }: OpenStore) {
  const partitions = await sweepTarget.readPartitions();
  const sampled = partitions.flatMap(({ name, sample }) => (sample === undefined ? [] : [{ name, sample }]));
  return {
    all: estimateStore(sampled.map(({ sample }) => sample)),
    byPartition: new Map(sampled.map(({ name, sample }) => [name, estimateStore([sample])])),
  };
}

class Judge {
  readonly batchMs: number[] = [];
  readonly #judged = new Map<string, Judged>();
  readonly #before: number[] = [];
  readonly #after: number[] = [];
  readonly #lives: number[] = [];
  #exceeded = 0;

  noteBefore(overhang: number): void {
    this.#before.push(overhang);
  }

  /** `steady`: from here on it counts. */
  note(truth: readonly Truth[], estimated: Awaited<ReturnType<typeof estimates>>, steady: boolean): string {
    const { live, expired, expiredNow: overhang } = sumOf(truth);
    const bound = overhangBound(live, arrivedRows, settings.threshold);
    if (steady) {
      this.#after.push(overhang);
      this.#lives.push(live);
      if (overhang > bound) this.#exceeded += 1;
      this.#judge('', estimated.all, { live, expired });
      for (const [name, of] of estimated.byPartition) {
        this.#judge(' by partition', of, sumOf(truth.filter(({ partition }) => partition === name)));
      }
      for (const [name, of] of estimated.all.namespaces) {
        this.#judge(' by namespace', of, sumOf(truth.filter(({ namespace }) => namespace === name)));
      }
    }
    const interval = ({ rows, low, high }: Estimate) =>
      `${rows.toFixed(0)} [${low.toFixed(0)}, ${high.toFixed(0)}]`;
    return (
      `live ${live}, estimated ${interval(estimated.all.live)}; ` +
      `expired ${expired}, estimated ${interval(estimated.all.expired)}; overhang ${overhang}, bound ${bound.toFixed(0)}`
    );
  }

  #judge(of: string, estimated: Estimates, truth: Pick<Truth, 'live' | 'expired'>): void {
    for (const kind of ['live', 'expired'] as const) {
      const judged = this.#judged.get(kind + of) ?? new Judged();
      judged.add(estimated[kind], truth[kind]);
      this.#judged.set(kind + of, judged);
    }
  }

  report(): void {
    const live = mean(this.#lives);
    const unlucky = unluckyThreshold(settings.threshold, settings.batchPages * partitionCount);
    say(
      `\noverhang after a tick: mean ${mean(this.#after).toFixed(0)}, most ${Math.max(...this.#after)} rows; ` +
        `above the bound ${this.#exceeded} times of ${this.#after.length}`,
    );
    say(
      `overhang before a tick: mean ${mean(this.#before).toFixed(0)}, most ${Math.max(...this.#before)} rows; ` +
        `bound of the mean ${overhangBound(live, arrivedRows, settings.threshold).toFixed(0)}, ` +
        `of a moment ${overhangBound(live, arrivedRows, unlucky).toFixed(0)}`,
    );
    for (const [what, { times, held, share, rows, truth }] of this.#judged) {
      const error = (100 * (rows - truth)) / truth;
      say(
        `95 % intervals that held the count (${what}): ${held} of ${times}, ${(100 * share).toFixed(1)} %; ` +
          `mean error ${error.toFixed(1)} %`,
      );
    }
    const sorted = [...this.batchMs].sort((a, b) => a - b);
    const quantile = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN).toFixed(1);
    say(`${sorted.length} batches, median ${quantile(0.5)} ms, 99 % below ${quantile(0.99)} ms`);
    if (this.#exceeded > 0) process.exitCode = 1;
  }
}

function sumOf(truth: readonly Truth[]): Pick<Truth, 'live' | 'expired' | 'expiredNow'> {
  const add = (of: (each: Truth) => number) => truth.reduce((sum, each) => sum + of(each), 0);
  return {
    live: add(({ live }) => live),
    expired: add(({ expired }) => expired),
    expiredNow: add(({ expiredNow }) => expiredNow),
  };
}

function mean(all: readonly number[]): number {
  return all.reduce((sum, each) => sum + each, 0) / all.length;
}

// Last, when everything above is there.
try {
  await run();
} finally {
  await client.end();
  await opened.close();
  await postgres.stop();
}
