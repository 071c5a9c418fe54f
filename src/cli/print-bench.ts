import type { BenchTally } from './bench-tally.js';
import type { Histogram } from './histogram.js';
import type { Io } from './io.js';
import { printable, printJson, printPairs, printTable } from './print.js';

const percentiles = { p50: 50, p90: 90, p99: 99, 'p99.9': 99.9 } as const;

export function printBench(io: Io, tally: BenchTally): void {
  const { operations, executed, replayed, inProgress, notBegun, errorCount } = tally;
  printPairs(io, [
    [
      'operations/s',
      `${Math.round(tally.operationsPerSecond)} (${operations} in ${seconds(tally.elapsedMs)})`,
    ],
    ['executed', String(executed)],
    ['replayed', String(replayed)],
    ['in progress', String(inProgress)],
    ['not begun', notBegun === 0 ? undefined : `${notBegun}, which were due`],
    ['errors', errorCount === 0 ? '0' : `${errorCount}: ${errorsText(tally)}`],
  ]);
  io.stdout.write('\n');
  const row = (name: string, latencies: Histogram) => [
    name,
    ...[...Object.values(percentiles).map((percent) => latencies.percentileMs(percent)), latencies.maxMs].map(
      (ms) => ms?.toFixed(2) ?? '-',
    ),
  ];
  printTable(
    io,
    ['LATENCY, MS', ...Object.keys(percentiles).map((name) => name.toUpperCase()), 'MAX'],
    [row('check (Begin)', tally.checkMs), row('cycle (Begin and Complete)', tally.cycleMs)],
  );
}

/** Latencies of which there are none are left out. */
export function printBenchJson(io: Io, tally: BenchTally, interrupted: boolean): void {
  const { elapsedMs, operations, operationsPerSecond, executed, replayed, inProgress, notBegun } = tally;
  const latencies = (of: Histogram) => ({
    p50Ms: of.percentileMs(50),
    p90Ms: of.percentileMs(90),
    p99Ms: of.percentileMs(99),
    p999Ms: of.percentileMs(99.9),
    maxMs: of.maxMs,
  });
  printJson(io, {
    elapsedMs,
    interrupted,
    operations,
    operationsPerSecond,
    executed,
    replayed,
    inProgress,
    notBegun,
    errors: Object.fromEntries(tally.errors),
    check: latencies(tally.checkMs),
    cycle: latencies(tally.cycleMs),
  });
}

function errorsText({ errors }: BenchTally): string {
  return [...errors].map(([reason, count]) => `${printable(reason)} ${count}`).join(', ');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
