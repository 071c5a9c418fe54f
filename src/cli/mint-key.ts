import { Option, type Command } from 'commander';
import { MintKeyResponse } from '../gen/onceward/v1/coordinator.js';
import { clientCommand, namespaceOption, withCoordinator, type KeyOptions } from './client-command.js';
import type { Io } from './io.js';
import { printJson } from './print.js';

export function mintKeyCommand(io: Io): Command {
  return clientCommand('mint-key', 'Make a key; store it before the first try.', 'onceward mint-key')
    .addOption(namespaceOption())
    .addOption(
      new Option('--scope <scope>', 'goes into keys made of a client request id').default('', 'none'),
    )
    .option('--client-request-id <id>', 'an id from an untrusted client, to be turned into a key')
    .action((options: MintKeyOptions) => mintKey(io, options));
}

interface MintKeyOptions extends KeyOptions {
  readonly clientRequestId?: string;
}

async function mintKey(io: Io, options: MintKeyOptions): Promise<void> {
  await withCoordinator(io, options, async ({ coordinator }) => {
    const { namespace, scope, clientRequestId = '' } = options;
    const response = await coordinator.mintKey({ namespace, scope, clientRequestId });
    if (options.json) printJson(io, MintKeyResponse.toJSON(response));
    // The key alone, so that KEY=$(onceward mint-key) works.
    else io.stdout.write(`${response.key}\n`);
  });
}
