import type { Command } from 'commander';
import { GetStatsResponse } from '../gen/onceward/v1/admin.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { printJson, printPairs, printTable } from './print.js';

export function statsCommand(io: Io): Command {
  return clientCommand(
    'stats',
    'Sizes of the store and counters of the coordinator process.',
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
    const rows = response.partitions.map(({ name, estimatedRows, totalBytes }) => [
      name,
      // Postgres says -1 before its first ANALYZE.
      estimatedRows < 0n ? 'unknown' : String(estimatedRows),
      String(totalBytes),
    ]);
    printTable(io, ['PARTITION', 'ROWS (ESTIMATE)', 'BYTES'], rows);
    const counters = Object.entries(response.counters).sort(([a], [b]) => (a < b ? -1 : 1));
    if (counters.length === 0) return;
    io.stdout.write('\n');
    printPairs(
      io,
      counters.map(([name, count]) => [name, String(count)] as const),
    );
  });
}
