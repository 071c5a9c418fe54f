import { entrants, type EntrantName } from './entrants.js';
import { loadName, mixNames, type Load } from './load.js';
import { median, medianRatio, type Measurement, type Results } from './results.js';
import type { Verdict } from './bars.js';

export interface Table {
  readonly title: string;
  /** The first is the head. */
  readonly rows: readonly (readonly string[])[];
}

/** An overview, a table for each load, and the bars. */
export function tablesOf(results: Results, verdicts: readonly Verdict[]): readonly Table[] {
  const { loads, names } = results;
  const overview: Table = {
    title: 'Operations per second, medians of the rounds',
    rows: [
      ['', ...loads.map(({ mix, inFlight }) => `${mixNames[mix]}, ${inFlight}`)],
      ...names.map((name) => [name, ...loads.map((load) => perSecond(median(ratesOf(results, name, load))))]),
    ],
  };
  const bars: Table = {
    title: 'Bars',
    rows: [
      ['', 'bar', 'measured', ''],
      ...verdicts.map(({ what, bar, measured, passed }) => [what, bar, measured, passed ? 'met' : 'missed']),
    ],
  };
  return [overview, ...loads.map((load) => loadTable(results, load)), bars];
}

function loadTable(results: Results, load: Load): Table {
  const byHand = ratesOf(results, 'pg-pool', load);
  const taking = results.names.filter((name) => results.of(name, load).length > 0);
  return {
    title: loadName(load),
    rows: [
      ['', 'per second', 'least–most', '× pg-pool', 'p50 ms', 'p99 ms', 'CPU, ms per 1,000'],
      ...taking.map((name) => {
        const rounds = results.of(name, load);
        const rates = ratesOf(results, name, load);
        const ratio = medianRatio(rates, byHand);
        return [
          name,
          perSecond(median(rates)),
          `${perSecond(Math.min(...rates))}–${perSecond(Math.max(...rates))}`,
          Number.isNaN(ratio) ? '–' : ratio.toFixed(2),
          latency(rounds.map(({ p50Ms }) => p50Ms ?? NaN)),
          latency(rounds.map(({ p99Ms }) => p99Ms ?? NaN)),
          cpu(rounds),
        ];
      }),
    ],
  };
}

function ratesOf(results: Results, name: EntrantName, load: Load): readonly number[] {
  return results.of(name, load).map((measurement) => measurement.perSecond);
}

/** Who took part, and what an answer of each is worth. */
export function entrantTable(names: readonly EntrantName[]): Table {
  return {
    title: 'Who is compared',
    rows: [
      ['', 'what', 'durability'],
      ...names.map((name) => [name, entrants[name].what, entrants[name].durability]),
    ],
  };
}

function perSecond(rate: number): string {
  return Number.isNaN(rate) ? '–' : Math.round(rate).toLocaleString('en');
}

function latency(rounds: readonly number[]): string {
  const ms = median(rounds);
  return Number.isNaN(ms) ? '–' : ms.toPrecision(ms < 10 ? 2 : 3);
}

function cpu(rounds: readonly Measurement[]): string {
  const processes = Object.keys(rounds[0]?.cpu ?? {});
  return processes
    .map((name) => {
      const used = median(rounds.map((round) => round.cpu[name] ?? NaN));
      return `${name} ${Number.isNaN(used) ? '–' : used.toFixed(0)}`;
    })
    .join(', ');
}
