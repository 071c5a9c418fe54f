/** `npm run bench`: us and what users would pick instead, in one interleaved run on one machine. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { table } from '../support/table.js';
import { judge } from './bars.js';
import { entrantNames, entrants, type EntrantName, type Started } from './entrants.js';
import { installPeerPackages, installPrograms } from './install-peers.js';
import type { Load } from './load.js';
import { machineFacts } from './machine-facts.js';
import { measure, measureRounds } from './measure-rounds.js';
import { tablesOf, entrantTable } from './report.js';
import { median, type Results } from './results.js';
import { openVenue } from './venue.js';
import { wholeNumber } from './whole-number.js';
import { withUndo, type Undo } from './with-undo.js';
import { writeResults } from './write-results.js';

const help = `npm run bench -- [options]

Durable cycles (check, execute, store a result) and replays per second: this coordinator and others, side by side.
A full run takes about half an hour and writes test/bench/RESULTS.md.

  --quick           about a minute: fewer contestants, loads and rounds; writes nothing
  --rounds <n>      rounds after the warm-up (default 5, quick 2)
  --seconds <n>     whole seconds of each measurement (default 3, quick 1)
  --only <names>    of ${entrantNames.join(', ')}; writes nothing
  --cpu-prof <dir>  writes CPU profiles of the coordinator and of the sdk contestant into a folder
  --help            this text

Exit code 1 when a bar is missed.
`;

const loads: readonly Load[] = [
  { mix: 'unique', inFlight: 1 },
  { mix: 'unique', inFlight: 64 },
  { mix: 'unique', inFlight: 256 },
  { mix: 'half', inFlight: 64 },
  { mix: 'half', inFlight: 256 },
  { mix: 'replays', inFlight: 64 },
  { mix: 'replays', inFlight: 256 },
];
const quickLoads = loads.filter(({ mix, inFlight }) => mix === 'unique' || inFlight === 256);
/** Enough for every bar to be judged. */
const quickNames = ['sdk', 'unary', 'pg-pool', 'node-idempotency-always', 'echo'] as const;

interface Plan {
  readonly names: readonly EntrantName[];
  readonly loads: readonly Load[];
  readonly rounds: number;
  readonly seconds: number;
  readonly profileFlags: readonly string[];
  readonly writes: boolean;
}

const plan = planOf();
if (plan === undefined) process.stdout.write(help);
else await withUndo((undo) => bench(plan, undo));

function planOf(): Plan | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    options: { quick: flag, help: flag, rounds: text, seconds: text, only: text, 'cpu-prof': text },
  });
  if (values.help) return undefined;
  const { quick, only } = values;
  const rounds = wholeNumber('rounds', values.rounds ?? (quick ? '2' : '5'));
  const seconds = wholeNumber('seconds', values.seconds ?? (quick ? '1' : '3'));
  const asked = only?.split(',').map((name) => name.trim());
  const unknown = asked?.filter((name) => !(name in entrants)) ?? [];
  if (unknown.length > 0)
    throw new Error(`--only: ${unknown.join(', ')} is none of ${entrantNames.join(', ')}`);
  const names = entrantNames.filter((name) =>
    asked === undefined ? !quick || quickNames.some((each) => each === name) : asked.includes(name),
  );
  const profile = values['cpu-prof'];
  const profileFlags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`];
  const writes = !quick && only === undefined;
  return { names, loads: quick ? quickLoads : loads, rounds, seconds, profileFlags, writes };
}

async function bench(given: Plan, undo: Undo): Promise<void> {
  const { names, rounds, seconds } = given;
  const needs = names.map((name) => entrants[name].needs).filter((each) => each !== undefined);
  if (needs.some((each) => each !== 'pgbench')) await installPeerPackages();
  await installPrograms([...new Set(needs.filter((each) => each !== 'packages'))]);
  const venue = await openVenue(undo, given.profileFlags);
  const started = new Map<EntrantName, Started>();
  for (const name of names) started.set(name, await entrants[name].start(venue));
  const facts = [...(await machineFacts()), (await venue.postgres()).facts];
  process.stdout.write(`${facts.join('\n')}\n\n`);
  const takes = (name: EntrantName, load: Load) => entrants[name].takes(load);
  const durationMs = seconds * 1000;
  const results = await measureRounds(started, takes, { loads: given.loads, rounds, durationMs });
  const p99AtHalfMs = await measureHalfLoad(started.get('sdk'), results, rounds, durationMs);
  const verdicts = judge(results, p99AtHalfMs);
  const tables = tablesOf(results, verdicts);
  for (const { title, rows } of tables) process.stdout.write(`\n${title}\n\n${table(rows)}\n`);
  if (given.writes) {
    const run = `${rounds} interleaved rounds after a warm-up, ${seconds} s for each measurement`;
    await writeResults([...facts, run], [entrantTable(names), ...tables], results);
  }
  if (verdicts.some(({ passed }) => !passed)) process.exitCode = 1;
}

/** The p99 of each round at half of the highest rate with unique keys, begun on time whatever is still under way. */
async function measureHalfLoad(
  sdk: Started | undefined,
  results: Results,
  rounds: number,
  durationMs: number,
): Promise<readonly number[]> {
  if (sdk === undefined) return [];
  const unique = results.loads.filter(({ mix }) => mix === 'unique');
  const peak = Math.max(
    ...unique.map((load) => median(results.of('sdk', load).map(({ perSecond }) => perSecond))),
  );
  const rate = Math.round(peak / 2);
  const p99s: number[] = [];
  process.stdout.write(`sdk at ${rate}/s, half of its peak: p99`);
  for (let round = 0; round < rounds; round += 1) {
    const { p99Ms = NaN } = await measure(sdk, { inFlight: 1, durationMs, rate });
    process.stdout.write(` ${p99Ms.toFixed(1)} ms`);
    p99s.push(p99Ms);
  }
  process.stdout.write('\n');
  return p99s;
}
