import { expect, onTestFinished, test } from 'vitest';
import { readSweepLog } from '../cleanup/sweep-log.js';
import { startChildCoordinator } from '../support/child-coordinator.js';
import { said, type ServeProcess } from '../support/child.js';
import { scrape, sumOf } from '../support/prometheus.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { testSeed } from '../support/seed.js';
import { seededRandom } from '../support/seeded-random.js';
import { createSweptDatabase, type SweptDatabase } from '../support/swept-database.js';
import { until } from '../support/until.js';

/** Every second, and never braked by a machine that is slow. */
const fast = [
  ...['--sampler-schedule', '* * * * * *', '--sampler-backstop-ms', '2000'],
  ...['--sampler-max-latency-ms', '60000', '--sampler-time-budget-ms', '300', '--sampler-row-budget', '1000'],
];
const rows = { expired: 2000, strippable: 300, live: 200 };
const patience = { timeout: 90_000 };

test('coordinators killed during sweeps: nothing is stuck, nothing is swept twice', patience, async () => {
  const seed = testSeed();
  console.log(`sampler killed: ONCEWARD_TEST_SEED=${seed}`);
  const random = seededRandom(seed);
  const database = await createSweptDatabase(rows);
  const startTime = await timeOf(database);
  await database.slow(30);
  const start = () => startChildCoordinator(database.url, fast);
  const running = await Promise.all([start(), start()]);
  let told = { removed: 0, stripped: 0 };
  for (let kills = 0; kills < 4; kills += 1) {
    await database.add({ expired: 1000, strippable: 100, live: 0 });
    const before = await database.due();
    await until('sweeps go on', async () => (await database.due()) < before);
    await database.untilBatch();
    // Somewhere in the batch, or in the rest after it.
    const atTime = performance.now() + random() * 100;
    await until('the moment comes', () => performance.now() >= atTime);
    const victim = running[kills % 2]!;
    told = plus(told, await countsOf(victim));
    await victim.kill();
    running[kills % 2] = await start();
  }
  await database.slow(0);
  await database.untilSwept();
  await until('the pass of every partition has come round since', async () => {
    const behind = await database.query(
      'SELECT FROM onceward.partition_sweep WHERE pass_start_time <= $1::timestamptz',
      [startTime],
    );
    return behind.length === 0;
  });
  for (const child of running) told = plus(told, await countsOf(child));
  for (const child of running) await child.stop();

  const { removed, stripped, violations } = await readSweepLog(database);
  expect({ removed, stripped, violations }).toEqual({ removed: 6000, stripped: 700, violations: [] });
  expect(await keptRows(database)).toBe(200 + 700);
  expect(told.removed).toBeGreaterThan(0);
  expect(told.removed).toBeLessThanOrEqual(removed);
  expect(told.stripped).toBeLessThanOrEqual(stripped);
  // Who died left no lock: this would fail at once.
  await database.query('SELECT FROM onceward.partition_sweep FOR UPDATE NOWAIT');
  await database.query('SELECT FROM onceward.record FOR UPDATE NOWAIT');
});

test('two coordinators side by side count together what the tables lost, exactly', patience, async () => {
  const database = await createSweptDatabase(rows);
  const running = await Promise.all([
    startChildCoordinator(database.url, fast),
    startChildCoordinator(database.url, fast),
  ]);
  await database.untilSwept();
  for (const child of running) await untilTickEnded(child);
  const [one, other] = await Promise.all(running.map(countsOf));
  expect(plus(one!, other!)).toEqual({ removed: 2000, stripped: 300 });
  expect(await readSweepLog(database)).toMatchObject({ removed: 2000, stripped: 300, violations: [] });
});

test(
  'a coordinator stopped (SIGSTOP) in the middle of a batch keeps no other from sweeping',
  patience,
  async () => {
    const database = await createSweptDatabase(rows);
    await database.slow(300);
    // Longer than the pause: it is not to wake to a timer, and forget what it was told meanwhile.
    const env = { ONCEWARD_STATEMENT_TIMEOUT_MS: '60000' };
    const paused = await startChildCoordinator(database.url, fast, { env });
    await database.untilBatch();
    paused.signal('SIGSTOP');
    await database.slow(0);
    const other = await startChildCoordinator(database.url, fast);
    await database.untilSwept();

    paused.signal('SIGCONT');
    await untilTickEnded(paused);
    await untilTickEnded(other);
    // The batch it was stopped in was committed, and it learnt of that when it woke.
    const [ofPaused, ofOther] = [await countsOf(paused), await countsOf(other)];
    expect(ofPaused.removed).toBeGreaterThan(0);
    expect(plus(ofPaused, ofOther)).toEqual({ removed: 2000, stripped: 300 });
  },
);

test(
  'the database goes away during a tick: the sampler goes on by itself when it is back',
  patience,
  async () => {
    const database = await createSweptDatabase(rows);
    const { url, proxy } = await proxyDatabase(database.url);
    onTestFinished(() => proxy.close());
    const lost = proxy.loseNextAnswer((chunk) => chunk.includes('\0sweep-pages '));
    const child = await startChildCoordinator(url, fast);
    await lost;
    proxy.refuse();
    proxy.cutAll();
    await said(child, 'errors', /the sampler failed/);
    const ticks = async () =>
      sumOf(await scrape({ server: child }), 'onceward_sweep_ticks_total', { onceward_outcome: 'failed' });
    await until('ticks fail while it is away', async () => (await ticks()) >= 2);
    proxy.pass();
    await database.untilSwept();
    await said(child, 'errors', /the sampler works again/);

    expect(child.errors.filter((line) => line.includes('the sampler failed'))).toHaveLength(1);
    await untilTickEnded(child);
    const { removed } = await countsOf(child);
    // It can't count the batch whose answer was lost.
    expect(removed).toBeGreaterThan(0);
    expect(removed).toBeLessThan(2000);
    expect(await readSweepLog(database)).toMatchObject({
      removed: 2000,
      stripped: 300,
      violations: [],
    });
  },
);

test(
  'SIGTERM in the middle of a batch: it is finished, no other is begun, exit code 0',
  patience,
  async () => {
    const database = await createSweptDatabase(rows);
    await database.slow(500);
    // Nothing but the stop ends the tick.
    const endless = ['--sampler-time-budget-ms', '60000', '--sampler-row-budget', '100000'];
    const child = await startChildCoordinator(database.url, [...fast, ...endless]);
    await database.untilBatch();
    const before = await database.due();
    const startTime = performance.now();
    child.signal('SIGTERM');
    expect(await child.ended).toBe(0);
    expect(performance.now() - startTime).toBeLessThan(5000);

    const left = await database.due();
    // The one under way was committed before the end; a partition has about 140 of them, and others were left alone.
    expect(left).toBeLessThan(before);
    expect(before - left).toBeLessThan(600);
    expect(left).toBeGreaterThan(0);
    const log = await readSweepLog(database);
    expect(log.removed + log.stripped + left).toBe(2300);
    const connected = await database.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'onceward%'`,
    );
    expect(connected).toEqual([]);
    expect(child.errors.filter((line) => /"level":"(warn|error)"/.test(line))).toEqual([]);
  },
);

interface Counts {
  readonly removed: number;
  readonly stripped: number;
}

async function countsOf(child: ServeProcess): Promise<Counts> {
  const samples = await scrape({ server: child });
  return {
    removed: sumOf(samples, 'onceward_sweep_removed_total'),
    stripped: sumOf(samples, 'onceward_sweep_stripped_total'),
  };
}

/** What a batch removed is counted when its answer is there: by the end of its tick. */
async function untilTickEnded(child: ServeProcess): Promise<void> {
  const ticks = async () => sumOf(await scrape({ server: child }), 'onceward_sweep_ticks_total');
  const before = await ticks();
  // One may have ended in between; the one after it began later.
  await until('a tick ends', async () => (await ticks()) >= before + 2);
}

function plus(a: Counts, b: Counts): Counts {
  return { removed: a.removed + b.removed, stripped: a.stripped + b.stripped };
}

async function timeOf(database: SweptDatabase): Promise<string> {
  const [row] = await database.query<{ time: string }>('SELECT now()::text AS time');
  return row!.time;
}

async function keptRows(database: SweptDatabase): Promise<number> {
  const [row] = await database.query<{ rows: number }>('SELECT count(*)::int AS rows FROM onceward.record');
  return row!.rows;
}
