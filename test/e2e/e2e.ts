/** `npx tsx test/e2e/e2e.ts`: the example of three services with lost answers and killed services, at full length. */
import { parseArgs } from 'node:util';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { judge } from './judge.js';
import { runExample } from './run.js';

const { values } = parseArgs({
  options: {
    orders: { type: 'string', default: '2000' },
    seed: { type: 'string', default: String(Math.trunc(Math.random() * 2 ** 31)) },
    kills: { type: 'string', default: '12' },
  },
});
const orders = Number(values.orders);
process.stdout.write(`${orders} orders, 30 % of answers lost at each hop, seed ${values.seed}\n`);
const startTime = performance.now();
const postgres = await startScratchPostgres({ max_connections: '200' });
try {
  const result = await runExample({
    orders,
    seed: Number(values.seed),
    loseAnswer: 0.3,
    kills: Number(values.kills),
    postgresUrl: postgres.url,
    onProgress: (done, kills) => {
      if (done % Math.ceil(orders / 20) === 0) process.stdout.write(`${done} orders, ${kills} kills\n`);
    },
  });
  const { wrong, unstableKeys, brokenTraces, ...counts } = judge(result);
  const { answersLost, kills, spans } = result;
  process.stdout.write(
    `${JSON.stringify({ orders, answersLost, kills, spans: spans.length, ...counts, wrong: wrong.length, unstableKeys: unstableKeys.length, brokenTraces: brokenTraces.length })}\n`,
  );
  for (const fault of [...wrong, ...unstableKeys, ...brokenTraces].slice(0, 20))
    process.stdout.write(`  ${fault}\n`);
  process.stdout.write(`${((performance.now() - startTime) / 1000).toFixed(0)} s\n`);
  process.exitCode =
    wrong.length + unstableKeys.length + brokenTraces.length + counts.unlinkedReplays > 0 ? 1 : 0;
} finally {
  await postgres.stop();
}
