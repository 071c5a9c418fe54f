import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../support/seeded-random.js';
import { table } from '../support/table.js';
import { plotOverhang, type PlottedLoad } from './overhang-plot.js';
import { simulate, type Simulated, type Simulation } from './simulation.js';
import { defaultSettings } from './synthetic-target.js';
import { loadOf, meanLifetimeMs, overhangBound } from './theory.js';

/**
 * Puts what `src/cleanup/README.md` derives beside what the real tick does to one partition in memory, with the settings
 * the program starts with, and draws the plot there: `npx tsx test/cleanup/simulate.ts [days]`. The same each time.
 */

const days = Number(process.argv[2] ?? 30);
const intervalMs = 10_000;
const pageRows = 30;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const { batchPages, threshold } = defaultSettings;

interface Run extends Partial<Simulation> {
  readonly retentionMs: number;
  readonly arrivals: number;
  readonly durationMs: number;
}

const runs: readonly Run[] = [
  ...[5, 10, 30].map((arrivals) => ({ retentionMs: minuteMs, arrivals, durationMs: days * 24 * hourMs })),
  { retentionMs: minuteMs, arrivals: 30, durationMs: 24 * hourMs, vacuumMs: minuteMs },
  ...[2, 5].map((arrivals) => ({ ...alike(arrivals, hourMs), durationMs: 24 * hourMs })),
  ...[2, 5, 30, 100].map((arrivals) => ({ retentionMs: hourMs, arrivals, durationMs: 12 * hourMs })),
];

console.log(
  table([
    [
      'retention, rows/s',
      'ticks',
      'pages',
      'load',
      'batches',
      'lifetime: derived',
      'simulated',
      'overhang: bound',
      'mean',
      'most',
      'most / its bound',
    ],
    ...(await rowsOf(runs)),
  ]),
);
await plot();

/** Rows on any of the pages that such a table needs while one batch a tick is enough. */
function alike(arrivals: number, retentionMs: number): Omit<Run, 'durationMs'> {
  const load = loadOf(arrivals, intervalMs, batchPages, pageRows);
  const pageCount = Math.ceil((arrivals * retentionMs) / 1000 / pageRows / (1 - load));
  return { arrivals, retentionMs, placement: 'scattered', slots: 4 * pageRows, pageCount };
}

function runOf(run: Run): Promise<Simulated> {
  return simulate({ slots: pageRows, warmUpMs: 4 * run.retentionMs, random: seededRandom(1), ...run });
}

async function rowsOf(all: readonly Run[]): Promise<readonly (readonly string[])[]> {
  const rows = [];
  for (const run of all) {
    const simulated = await runOf(run);
    const { retentionMs, arrivals, placement, vacuumMs } = run;
    const arrived = (arrivals * intervalMs) / 1000;
    const { pageCount, live, batches } = simulated;
    rows.push([
      `${retentionMs / 1000} s, ${arrivals}${placement === 'scattered' ? ', alike' : ''}${vacuumMs === undefined ? '' : ', vacuum each min'}`,
      simulated.ticks.toLocaleString('en'),
      pageCount.toFixed(0),
      loadOf(arrivals, intervalMs, batchPages, pageRows).toFixed(2),
      batches.toFixed(2),
      derivedLifetime(simulated),
      seconds(simulated.lifetimeMs),
      overhangBound(live, arrived, threshold).toFixed(0),
      simulated.overhang.toFixed(0),
      simulated.maxOverhang.toFixed(0),
      simulated.maxOfBound.toFixed(2),
    ]);
  }
  return rows;
}

/** While every tick takes one batch, or the whole table; else the load is above the threshold, and only the bound is known. */
function derivedLifetime({ batches, pageCount, pagesPerTick }: Simulated): string {
  if (batches > 1.1 && pagesPerTick < pageCount - 0.5) return '–';
  return seconds(meanLifetimeMs(pageCount, pagesPerTick, intervalMs));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

async function plot(): Promise<void> {
  const loads: PlottedLoad[] = [];
  const retentionMs = 15 * minuteMs;
  for (const load of [0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1]) {
    const arrivals = (load * batchPages * pageRows * 1000) / intervalMs;
    const simulated = await runOf({ arrivals, retentionMs, durationMs: 6 * hourMs });
    const { live, overhang, maxOverhang } = simulated;
    loads.push({ load, mean: overhang / live, most: maxOverhang / live });
  }
  const file = new URL('../../src/cleanup/overhang.svg', import.meta.url);
  writeFileSync(file, plotOverhang(loads, { threshold, arrived: intervalMs / retentionMs }));
  console.log(`\nplot: ${fileURLToPath(file)}`);
}
