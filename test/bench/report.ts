import { table } from '../support/table.js';
import type { CoordinatorRound, CpuPerThousand, PgbenchRound } from './measure.js';

export interface Measured {
  readonly inFlight: number;
  readonly coordinator: readonly CoordinatorRound[];
  readonly pgbench: readonly PgbenchRound[];
}

/** Against pgbench at 64 in flight: below it, a coordinator costs too much beside the database. */
export const bar = { inFlight: 64, ratio: 0.7 };

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** Of the rounds' ratios, not of the medians: the two halves of a round ran side by side in time. */
export function ratioOf({ coordinator, pgbench }: Measured): number {
  return median(coordinator.map((round, i) => round.cyclesPerSecond / (pgbench[i]?.cyclesPerSecond ?? NaN)));
}

export function reportOf(all: readonly Measured[]): string {
  const head = ['in flight', 'coordinator', 'pgbench', 'ratio', 'p50 ms', 'p99 ms'];
  const rates = all.map((measured) => {
    const { inFlight, coordinator, pgbench } = measured;
    return [
      String(inFlight),
      `${rate(coordinator)}/s`,
      `${rate(pgbench)}/s`,
      ratioOf(measured).toFixed(2),
      median(coordinator.map((round) => round.p50Ms)).toFixed(1),
      median(coordinator.map((round) => round.p99Ms)).toFixed(1),
    ];
  });
  const cpuHead = ['CPU, ms per 1,000 cycles', 'coordinator', 'load generator', 'postgres'];
  const cpu = all.flatMap(({ inFlight, coordinator, pgbench }) => [
    [`${inFlight} in flight, coordinator`, ...cpuCells(coordinator)],
    [`${inFlight} clients, pgbench`, ...cpuCells(pgbench)],
  ]);
  return `${table([head, ...rates])}\n\n${table([cpuHead, ...cpu])}`;
}

function rate(rounds: readonly { readonly cyclesPerSecond: number }[]): string {
  return Math.round(median(rounds.map((round) => round.cyclesPerSecond))).toLocaleString('en');
}

function cpuCells(rounds: readonly { readonly cpu: CpuPerThousand }[]): string[] {
  return (['coordinator', 'driver', 'postgres'] as const).map((name) => {
    const known = rounds.map(({ cpu }) => cpu[name]).filter((value) => value !== undefined);
    return known.length === 0 ? '–' : median(known).toFixed(0);
  });
}
