/**
 * `npx tsx test/bench/memory.ts [options]`: the coordinator's memory while it makes ten million cycles, with its default cache
 * of results.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startLoadGenerator } from './load-generator.js';
import { startCoordinator } from './start-coordinator.js';
import { startPostgres } from './start-postgres.js';
import { declareNamespace } from './venue.js';
import { wholeNumber } from './whole-number.js';
import { withUndo, type Undo } from './with-undo.js';

/** MiB: 200, and the cache of results at its default. */
const bar = 200 + 64;

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '10000000' },
    every: { type: 'string', default: '500000' },
    'in-flight': { type: 'string', default: '256' },
  },
});
const cycles = wholeNumber('cycles', values.cycles);
const every = wholeNumber('every', values.every);
const inFlight = wholeNumber('in-flight', values['in-flight']);

await withUndo(memory);

async function memory(undo: Undo): Promise<void> {
  const postgres = await startPostgres(undo);
  const coordinator = await startCoordinator(undo, postgres.url);
  await declareNamespace(coordinator.address);
  const load = startLoadGenerator('contestants/sdk.ts', [coordinator.address]);
  await undo(() => load.stop());
  const print = async (done: number) => {
    const resident = await residentMiB(coordinator.pid);
    process.stdout.write(`${done.toLocaleString('en')} cycles: ${resident.toFixed(0)} MiB resident\n`);
    return resident;
  };
  let most = await print(0);
  let done = 0;
  for (let next = every; done < cycles; next += every) {
    const goal = Math.min(next, cycles);
    while (done < goal) done += (await load.order({ inFlight, durationMs: 1000 })).operations;
    most = Math.max(most, await print(done));
  }
  const passed = most <= bar;
  process.stdout.write(
    `at most ${most.toFixed(0)} MiB resident; the bar is ${bar}: ${passed ? 'met' : 'missed'}\n`,
  );
  if (!passed) process.exitCode = 1;
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}
