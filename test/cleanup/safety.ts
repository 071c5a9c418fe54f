/** `npx tsx test/cleanup/safety.ts --minutes 10`: that cleanup is invisible, with coordinators in processes of their own. */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { migrate } from '../../src/store/migrate.js';
import { serving, spawnServe } from '../support/child.js';
import type { TestDatabase } from '../support/database.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { runSafety } from './run-safety.js';
import { installSweepLog } from './sweep-log.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    callers: { type: 'string', default: '150' },
    seed: { type: 'string', default: String(Math.trunc(Math.random() * 2 ** 31)) },
  },
});
const minutes = Number(values.minutes);
const callers = Number(values.callers);
const seed = Number(values.seed);
const print = (text: string) => process.stdout.write(`${text}\n`);
print(`${minutes} minutes, ${callers} callers, ticks 100 times as often as by default, seed ${seed}`);

const postgres = await startScratchPostgres({ max_connections: '200' });
const pool = new pg.Pool({ connectionString: postgres.url, max: 4 });
pool.on('error', () => undefined);
try {
  // Few partitions, so that a tick over all of them takes less time than there is between two.
  await migrate(postgres.url, 4);
  const query: TestDatabase['query'] = async <Row extends pg.QueryResultRow>(
    text: string,
    parameters?: unknown[],
  ) => (await pool.query<Row>(text, parameters)).rows;
  await installSweepLog({ query });
  const args = ['--database-url', postgres.url, '--sampler-schedule', 'off'];
  // One answers from its replay cache, the other from the database alone.
  const children = [spawnServe(args), spawnServe([...args, '--replay-cache-bytes', '0'])];
  const servers = await Promise.all(children.map(serving));
  const coordinators = servers.map(({ address }) => connectCoordinator({ address }));
  const startTime = performance.now();
  const { counts, wrongAnswers, wrongSweeps } = await runSafety({
    database: { url: postgres.url, query },
    coordinators,
    name: 'safety',
    seed,
    durationMs: minutes * 60_000,
    callers,
    retentionMs: 2000,
    enoughMs: 10_000,
    enough: ({ counts, wrongAnswers, wrongSweeps }) => {
      const seconds = ((performance.now() - startTime) / 1000).toFixed(0);
      print(
        `${seconds.padStart(5)} s  ${JSON.stringify(counts)}  ${wrongAnswers.length + wrongSweeps.length} violations`,
      );
      return false;
    },
  });
  for (const coordinator of coordinators) coordinator.close();
  for (const child of children) await child.stop();

  const violations = [...wrongAnswers, ...wrongSweeps];
  const { removed, stripped, toldRemoved, toldStripped } = counts;
  if (removed !== toldRemoved)
    violations.push(`${toldRemoved} rows were said to be removed, and ${removed} were`);
  if (stripped !== toldStripped)
    violations.push(`${toldStripped} results were said to be stripped, and ${stripped} were`);
  // So many in a minute are met by the slowest machine; fewer prove little.
  const seen = [removed, stripped, counts.newLives, counts.renewed, counts.replays, counts.resultExpired];
  const little = Math.min(...seen) < 100 * minutes;
  print(JSON.stringify({ ...counts, violations: violations.length }));
  for (const violation of violations.slice(0, 20)) print(`  ${violation}`);
  if (little) print('too little was met to mean anything');
  process.exitCode = violations.length > 0 || little ? 1 : 0;
} finally {
  await pool.end();
  await postgres.stop();
}
