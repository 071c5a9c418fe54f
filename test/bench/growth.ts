/**
 * `npx tsx test/bench/growth.ts [options]`: what a cycle costs with ten million finished records stored against a hundred
 * thousand, in two databases of one Postgres, with random keys and with keys in the order of time (UUIDv7).
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { compareCost, createSide, printRatio, startSide } from './compare-cost.js';
import { fillRecords, type KeyKind } from './fill-records.js';
import { startPostgres } from './start-postgres.js';
import { wholeNumber } from './whole-number.js';
import { withUndo, type Undo } from './with-undo.js';

const bars: Readonly<Record<KeyKind, number>> = { random: 1.5, 'time-ordered': 1.15 };

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: 'random,time-ordered' },
    records: { type: 'string', default: '10000000' },
    base: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    'in-flight': { type: 'string', default: '256' },
  },
});
const sizes = { base: wholeNumber('base', values.base), other: wholeNumber('records', values.records) };
const rounds = wholeNumber('rounds', values.rounds);
const durationMs = wholeNumber('seconds', values.seconds) * 1000;
const inFlight = wholeNumber('in-flight', values['in-flight']);
const kinds = values.keys.split(',').map((kind): KeyKind => {
  if (kind !== 'random' && kind !== 'time-ordered')
    throw new Error('--keys: random, time-ordered, or both with a comma');
  return kind;
});

for (const keys of kinds) await withUndo((undo) => growth(keys, undo));

async function growth(keys: KeyKind, undo: Undo): Promise<void> {
  const postgres = await startPostgres(undo);
  const urls = {
    base: await createSide(postgres.url, 'base'),
    other: await createSide(postgres.url, 'other'),
  };
  const base = await startSide(urls.base, undo);
  const other = await startSide(urls.other, undo);
  // The namespace is there once the coordinators are.
  await fillRecords(urls.base, sizes.base, keys);
  await fillRecords(urls.other, sizes.other, keys);
  const ratio = await compareCost({ base, other, rounds, order: { inFlight, durationMs, keys } });
  const counts = [await recordsIn(urls.other), await recordsIn(urls.base)];
  const [many, few] = counts.map((count) => count.toLocaleString('en'));
  process.stdout.write(`at the end ${many} records against ${few}\n`);
  printRatio(`cost of a cycle, ${keys} keys, ${inFlight} in flight`, ratio, bars[keys]);
}

async function recordsIn(url: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM onceward.record');
  await client.end();
  return Number(rows[0]?.count);
}
