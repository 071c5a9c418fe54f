/**
 * `npx tsx test/bench/sweep-cost.ts`: what cleanup costs the calls beside it. On a store full of live and expired records two
 * coordinators stand, one with the sampler at its default settings and one without; the load goes to one after the other, and
 * the sampler's process is stopped (SIGSTOP) while it is not its turn. At the end the naive way runs beside the load:
 * `DELETE … WHERE record_expire_time <= now()`.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { serving, spawnServe, type Child } from '../support/child.js';
import type { LoadReport } from './contestant.js';
import { startLoadGenerator, type LoadGenerator } from './load-generator.js';
import { median, medianRatio } from './results.js';
import { sample } from './sample.js';
import { startPostgres } from './start-postgres.js';
import { declareNamespace } from './venue.js';
import { withUndo, type Undo } from './with-undo.js';

const { values } = parseArgs({
  options: {
    million: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    'in-flight': { type: 'string', default: '16' },
  },
});
const rows = Number(values.million) * 1_000_000;
const order = { inFlight: Number(values['in-flight']), durationMs: Number(values.seconds) * 1000 };

const say = (text: string) => void process.stdout.write(`${text}\n`);
await withUndo(run);

async function run(undo: Undo): Promise<void> {
  const postgres = await startPostgres(undo, { max_connections: '100' });
  const start = async (schedule: string) => {
    const child = spawnServe([
      '--database-url',
      postgres.url,
      ...(schedule === 'off' ? ['--sampler-schedule', 'off'] : []),
    ]);
    await undo(() => child.stop());
    const { address } = await serving(child);
    const load = startLoadGenerator('contestants/unary.ts', [address]);
    await undo(() => load.stop());
    return { child, load, address };
  };
  const without = await start('off');
  await declareNamespace(without.address);
  const client = new pg.Client(postgres.url);
  await client.connect();
  await undo(() => client.end());
  await fill(client);
  const withSampler = await start('default');
  const reports = await measureRounds(client, without, withSampler);
  await withSampler.load.stop();
  await withSampler.child.stop();
  reports.naive.push(...(await naive(postgres.url, without.load)));
  report(reports);
}

/** Half of it expired, mixed as they came: a page holds rows of one time. */
async function fill(client: pg.Client): Promise<void> {
  const step = 250_000;
  for (let done = 0; done < 2 * rows; done += step) {
    await client.query(
      `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, finish_time,
         result_expire_time, record_expire_time, operation, fingerprint_version, fingerprint_digest, result_code, result_digest,
         result_envelope, result_payload)
       SELECT $1, 'customer-1', 'filled-' || md5(i::text), 'COMPLETED', 'RERUN', 1, i + 1, now() - interval '2 d',
         now() - interval '2 d', e, e, $2, 1, decode(repeat('07', 32), 'hex'), 0, decode(repeat('09', 16), 'hex'),
         '\\x00', decode(repeat('61', 256), 'hex')
       FROM generate_series($3::bigint, $3::bigint + $4 - 1) i,
         LATERAL (SELECT now() + CASE WHEN i < $5 THEN interval '-1 h' ELSE interval '1 d' END AS e) e`,
      [sample.namespace, sample.operation, done, step, rows],
    );
    process.stdout.write(`\rfilling: ${done + step} of ${2 * rows} rows`);
  }
  await client.query(`SELECT setval('onceward.fencing_token', ${2 * rows + 1})`);
  say('\nvacuum');
  await client.query('VACUUM (ANALYZE) onceward.record');
  await client.query('CHECKPOINT');
}

interface Side {
  readonly child: Child;
  readonly load: LoadGenerator;
}

interface Reports {
  readonly without: LoadReport[];
  readonly sampler: LoadReport[];
  readonly naive: LoadReport[];
  /** Rows a second that the sampler removed. */
  readonly removedPerSecond: number[];
}

async function measureRounds(client: pg.Client, without: Side, sampler: Side): Promise<Reports> {
  const reports: Reports = { without: [], sampler: [], naive: [], removedPerSecond: [] };
  sampler.child.signal('SIGSTOP');
  const rounds = Number(values.rounds);
  for (let round = 0; round <= rounds; round += 1) {
    const measureWithout = async () => {
      const measured = await without.load.order(order);
      if (round > 0) reports.without.push(measured);
      return measured;
    };
    const measureSampler = async () => {
      sampler.child.signal('SIGCONT');
      const before = await deleted(client);
      const measured = await sampler.load.order(order);
      sampler.child.signal('SIGSTOP');
      const removed = ((await deleted(client)) - before) / (order.durationMs / 1000);
      if (round > 0) {
        reports.sampler.push(measured);
        reports.removedPerSecond.push(removed);
      }
      return measured;
    };
    // Who goes first alternates, so that what drifts over the run favours neither.
    const first = round % 2 === 0 ? await measureWithout() : undefined;
    const swept = await measureSampler();
    const off = first ?? (await measureWithout());
    say(
      `${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: without ${line(off)}; with the sampler ${line(swept)}, ` +
        `${reports.removedPerSecond.at(-1)?.toFixed(0) ?? '-'} rows/s removed`,
    );
  }
  // Stopped processes don't heed SIGTERM.
  sampler.child.signal('SIGCONT');
  return reports;
}

/** Rows deleted so far, as Postgres counts; it tells within a second or so. */
async function deleted(client: pg.Client): Promise<number> {
  const { rows: found } = await client.query<{ n: string }>(
    `SELECT sum(n_tup_del) AS n FROM pg_stat_user_tables WHERE relname LIKE 'record\\_0%'`,
  );
  return Number(found[0]?.n ?? 0);
}

/** One statement over everything, as a cron job would have it. */
async function naive(url: string, load: LoadGenerator): Promise<readonly LoadReport[]> {
  const broom = new pg.Client(url);
  await broom.connect();
  const startTime = performance.now();
  const progress = { done: false };
  const deletion = broom
    .query('DELETE FROM onceward.record WHERE record_expire_time <= now()')
    .then(({ rowCount }) => {
      const seconds = (performance.now() - startTime) / 1000;
      say(
        `naive: ${rowCount} rows in ${seconds.toFixed(0)} s, ${((rowCount ?? 0) / seconds).toFixed(0)} rows/s`,
      );
      progress.done = true;
    });
  const reports: LoadReport[] = [];
  while (!progress.done && reports.length < Number(values.rounds)) {
    const measured = await load.order(order);
    say(`beside the naive DELETE: ${line(measured)}`);
    reports.push(measured);
  }
  await deletion;
  await broom.end();
  return reports;
}

function line({ perSecond, checkP50Ms, checkP99Ms }: LoadReport): string {
  return `${perSecond.toFixed(0)} cycles/s, Begin p50 ${checkP50Ms.toFixed(2)} p99 ${checkP99Ms.toFixed(2)} ms`;
}

function report({ without, sampler, naive: beside, removedPerSecond }: Reports): void {
  const rate = ({ perSecond }: LoadReport) => perSecond;
  const p99 = ({ checkP99Ms }: LoadReport) => checkP99Ms;
  // Of each round, as the machine drifts between them; then the median.
  const ratio = (of: (each: LoadReport) => number) => medianRatio(sampler.map(of), without.map(of));
  say(`\n${2 * rows} rows, half expired; ${order.inFlight} in flight; medians of ${sampler.length} rounds`);
  say(
    `without:       ${median(without.map(rate)).toFixed(0)} cycles/s, Begin p99 ${median(without.map(p99)).toFixed(2)} ms`,
  );
  say(
    `with sampler:  ${median(sampler.map(rate)).toFixed(0)} cycles/s, Begin p99 ${median(sampler.map(p99)).toFixed(2)} ms; ` +
      `by round ${ratio(rate).toFixed(3)} × the throughput, ${ratio(p99).toFixed(3)} × the p99; ` +
      `${median(removedPerSecond).toFixed(0)} rows/s removed`,
  );
  say(
    `naive DELETE:  ${median(beside.map(rate)).toFixed(0)} cycles/s, Begin p99 ${median(beside.map(p99)).toFixed(2)} ms`,
  );
}
