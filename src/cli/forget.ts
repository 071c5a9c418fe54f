import type { Command } from 'commander';
import { ForgetResponse } from '../gen/onceward/v1/admin.js';
import { reasonOption } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import type { Io } from './io.js';
import { printJson } from './print.js';

export function forgetCommand(io: Io): Command {
  return keyCommand(
    'forget',
    'Remove a record: the next begin of its key executes. Audited.',
    'onceward forget order-42 --reason "test data"',
  )
    .addOption(reasonOption())
    .option('--even-if-leased', 'also while an attempt holds a live lease: it may still have its effect')
    .action((key: string, options: ForgetOptions) => forget(io, key, options));
}

interface ForgetOptions extends KeyOptions {
  readonly reason: string;
  readonly evenIfLeased?: true;
}

async function forget(io: Io, key: string, options: ForgetOptions): Promise<void> {
  await withCoordinator(io, options, async ({ admin }) => {
    const response = await admin.forget({
      ref: refOf(key, options),
      reason: options.reason,
      evenIfLeased: options.evenIfLeased ?? false,
    });
    if (options.json) printJson(io, ForgetResponse.toJSON(response));
    else io.stdout.write(response.already ? 'nothing to forget\n' : 'forgotten\n');
  });
}
