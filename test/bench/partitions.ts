/** `npx tsx test/bench/partitions.ts [options]`: what a cycle costs with 16 partitions against one. */
import { parseArgs } from 'node:util';
import { compareCost, createSide, printRatio, startSide } from './compare-cost.js';
import { startPostgres } from './start-postgres.js';
import { wholeNumber } from './whole-number.js';
import { withUndo } from './with-undo.js';

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    'in-flight': { type: 'string', default: '256' },
  },
});
const partitions = wholeNumber('partitions', values.partitions);
const rounds = wholeNumber('rounds', values.rounds);
const durationMs = wholeNumber('seconds', values.seconds) * 1000;
const inFlight = wholeNumber('in-flight', values['in-flight']);

await withUndo(async (undo) => {
  const postgres = await startPostgres(undo);
  const base = await startSide(await createSide(postgres.url, 'base', 1), undo);
  const other = await startSide(await createSide(postgres.url, 'other', partitions), undo);
  const ratio = await compareCost({ base, other, rounds, order: { inFlight, durationMs } });
  printRatio(`cost of a cycle, ${partitions} partitions against 1, ${inFlight} in flight`, ratio, 1.1);
});
