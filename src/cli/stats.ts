import type { Command } from 'commander';
import { GetStatsResponse, type Estimate } from '../gen/onceward/v1/admin.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { instant, printJson, printPairs, printTable } from './print.js';

export function statsCommand(io: Io): Command {
  return clientCommand(
    'stats',
    'How much is stored, live and expired, estimated from samples; counters of the coordinator process.',
    'onceward stats',
  ).action((options: ClientOptions) => stats(io, options));
}

async function stats(io: Io, options: ClientOptions): Promise<void> {
  await withCoordinator(io, options, async ({ admin }) => {
    const response = await admin.getStats({});
    if (options.json) {
      printJson(io, GetStatsResponse.toJSON(response));
      return;
    }
    printEstimates(io, response);
    const sizes = response.partitions.map(({ name, live, expired, totalBytes }) => [
      name,
      ...estimateCells(live, expired),
      String(totalBytes),
    ]);
    io.stdout.write('\n');
    printTable(io, ['PARTITION', ...estimateHeads, 'BYTES ON DISK'], sizes);
    io.stdout.write('\n');
    const counters = Object.entries(response.counters).sort(([a], [b]) => (a < b ? -1 : 1));
    printPairs(
      io,
      counters.map(([name, count]) => [name, String(count)] as const),
    );
  });
}

const estimateHeads = ['LIVE', '95 %', 'EXPIRED', '95 %'];

function printEstimates(io: Io, { live, expired, namespaces, estimateTime }: GetStatsResponse): void {
  if (estimateTime === undefined) {
    io.stdout.write('no estimates: the sampler has not run yet\n');
    return;
  }
  const bytesOf = (estimate: Estimate | undefined) => String(estimate?.bytes ?? 0n);
  const rows = namespaces.map((of) => [
    of.name,
    ...estimateCells(of.live, of.expired),
    bytesOf(of.live),
    bytesOf(of.expired),
  ]);
  const all = ['all', ...estimateCells(live, expired), bytesOf(live), bytesOf(expired)];
  printTable(io, ['NAMESPACE', ...estimateHeads, 'LIVE BYTES', 'EXPIRED BYTES'], [...rows, all]);
  io.stdout.write(`as of ${instant(estimateTime)}\n`);
}

function estimateCells(...estimates: readonly (Estimate | undefined)[]): string[] {
  return estimates.flatMap((estimate) =>
    estimate === undefined ? ['-', '-'] : [String(estimate.rows), `${estimate.low}–${estimate.high}`],
  );
}
