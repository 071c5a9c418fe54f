/**
 * `npx tsx test/cleanup/bound.ts [--minutes 10]`: records arrive steadily and expire after a minute; the real sampler ticks over a
 * real Postgres with its default settings. After each tick everything is counted, and compared with the bound that
 * src/cleanup/README.md derives and with the estimates.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { tick } from '../../src/cleanup/tick.js';
import { loadConfig } from '../../src/config.js';
import { estimateStore, type Estimate } from '../../src/core/estimate.js';
import { migrate } from '../../src/store/migrate.js';
import { openStore, type OpenStore } from '../../src/store/open-store.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { storeOptions } from '../support/store.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, rate: { type: 'string', default: '500' } },
});
const minutes = Number(values.minutes);
const perSecond = Number(values.rate);
const retentionMs = 60_000;
const tickMs = 10_000;
const namespaces = ['orders', 'payments', 'refunds'];
const config = loadConfig(undefined);
const settings = {
  batchPages: 32,
  threshold: config.samplerThreshold,
  backstopMs: config.samplerBackstopMs,
  timeBudgetMs: config.samplerTimeBudgetMs,
  rowBudget: config.samplerRowBudget,
  maxLatencyMs: config.samplerMaxLatencyMs,
  maxReplicationLagMs: config.samplerMaxReplicationLagMs,
};

const say = (text: string) => void process.stdout.write(`${text}\n`);
const postgres = await startScratchPostgres();
await migrate(postgres.url);
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
      const outcome = await tick(opened.sweepTarget, settings, surroundings, () => undefined);
      const line = judge.note(await countAll(), await estimates(opened), at * tickMs > 2 * retentionMs);
      say(`${String((at * tickMs) / 1000).padStart(5)} s  ${outcome.padEnd(6)}  ${line}`);
      await sleep(Math.max(0, nextTime - performance.now()));
    }
  } finally {
    arrivals.abort();
    await arriving;
  }
  judge.report();
}

const surroundings = {
  random: Math.random,
  clock: () => performance.now(),
  pause: (ms: number) => sleep(ms),
  signal: new AbortController().signal,
};

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
  const { rows } = await client.query<Record<string, string>>(
    `SELECT s.partition,
       count(r.key) FILTER (WHERE r.record_expire_time > s.time AND r.create_time <= s.time) AS live,
       count(r.key) FILTER (WHERE r.record_expire_time <= s.time) AS expired,
       count(r.key) FILTER (WHERE r.record_expire_time <= now()) AS expired_now
     FROM (
       SELECT partition, to_timestamp((sample ->> 'time')::float8 / 1000) AS time FROM onceward.partition_sweep
       WHERE sample IS NOT NULL
     ) s
     LEFT JOIN (onceward.record r JOIN pg_class c ON c.oid = r.tableoid) ON c.relname = s.partition
     GROUP BY s.partition`,
  );
  return rows.map(({ partition = '', live, expired, expired_now: expiredNow }) => ({
    partition,
    live: Number(live),
    expired: Number(expired),
    expiredNow: Number(expiredNow),
  }));
}

async function estimates({ sweepTarget }: OpenStore) {
  const partitions = await sweepTarget.readPartitions();
  const sampled = partitions.flatMap(({ name, sample }) => (sample === undefined ? [] : [{ name, sample }]));
  return {
    all: estimateStore(sampled.map(({ sample }) => sample)),
    byPartition: new Map(sampled.map(({ name, sample }) => [name, estimateStore([sample])])),
  };
}

/** Intervals that were looked at, and how many of them held what was counted. */
class Coverage {
  #held = 0;
  #seen = 0;

  note({ low, high }: Estimate, truth: number): void {
    this.#seen += 1;
    if (low <= truth && truth <= high) this.#held += 1;
  }

  toString(): string {
    return `${this.#held} of ${this.#seen}, ${((100 * this.#held) / this.#seen).toFixed(1)} %`;
  }
}

class Judge {
  readonly #coverage = {
    'live, all': new Coverage(),
    'expired, all': new Coverage(),
    'live, by partition': new Coverage(),
    'expired, by partition': new Coverage(),
  };
  readonly #overhangs: number[] = [];
  #exceeded = 0;

  /** `steady`: from here on it counts. */
  note(truth: readonly Truth[], estimated: Awaited<ReturnType<typeof estimates>>, steady: boolean): string {
    const live = truth.reduce((sum, each) => sum + each.live, 0);
    const expired = truth.reduce((sum, each) => sum + each.expired, 0);
    const overhang = truth.reduce((sum, each) => sum + each.expiredNow, 0);
    const bound = boundOf(live);
    if (steady) {
      this.#overhangs.push(overhang);
      if (overhang > bound) this.#exceeded += 1;
      this.#coverage['live, all'].note(estimated.all.live, live);
      this.#coverage['expired, all'].note(estimated.all.expired, expired);
      for (const each of truth) {
        const of = estimated.byPartition.get(each.partition);
        if (of === undefined) continue;
        this.#coverage['live, by partition'].note(of.live, each.live);
        this.#coverage['expired, by partition'].note(of.expired, each.expired);
      }
    }
    const interval = ({ rows, low, high }: Estimate) =>
      `${rows.toFixed(0)} [${low.toFixed(0)}, ${high.toFixed(0)}]`;
    return (
      `live ${live}, estimated ${interval(estimated.all.live)}; ` +
      `expired ${expired}, estimated ${interval(estimated.all.expired)}; overhang ${overhang}, bound ${bound.toFixed(0)}`
    );
  }

  report(): void {
    const mean = this.#overhangs.reduce((sum, each) => sum + each, 0) / this.#overhangs.length;
    say(
      `\noverhang after a tick: mean ${mean.toFixed(0)}, most ${Math.max(...this.#overhangs)} rows; ` +
        `above the bound ${this.#exceeded} times of ${this.#overhangs.length}`,
    );
    for (const [what, coverage] of Object.entries(this.#coverage)) {
      say(`95 % intervals that held the count (${what}): ${String(coverage)}`);
    }
    if (this.#exceeded > 0) process.exitCode = 1;
  }
}

/** θ / (1 − θ) of the live rows, and what expires between two ticks. */
function boundOf(live: number): number {
  const { threshold } = settings;
  return (threshold / (1 - threshold)) * live + perSecond * (tickMs / 1000);
}

// Last, when everything above is there.
try {
  await run();
} finally {
  await client.end();
  await opened.close();
  await postgres.stop();
}
