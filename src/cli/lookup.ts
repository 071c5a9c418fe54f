import type { Command } from 'commander';
import { Record } from '../gen/onceward/v1/record.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import type { Io } from './io.js';
import { printJson } from './print.js';
import { printRecord } from './print-record.js';

export function lookupCommand(io: Io): Command {
  return keyCommand('lookup', 'Read a record without side effect.', 'onceward lookup order-42 --result')
    .option('--result', 'with the result')
    .option('--lineage', 'with the operations called from this one')
    .action((key: string, options: LookupOptions) => lookup(io, key, options));
}

interface LookupOptions extends KeyOptions {
  readonly result?: true;
  readonly lineage?: true;
}

async function lookup(io: Io, key: string, options: LookupOptions): Promise<void> {
  await withCoordinator(io, options, async ({ coordinator }) => {
    const record = await coordinator.lookup({
      ref: refOf(key, options),
      withResult: options.result ?? false,
      withLineage: options.lineage ?? false,
    });
    if (options.json) printJson(io, Record.toJSON(record));
    else printRecord(io, record);
  });
}
