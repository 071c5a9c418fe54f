import type { Command } from 'commander';
import { CompleteResponse } from '../gen/onceward/v1/coordinator.js';
import { Result, type Retention } from '../gen/onceward/v1/record.js';
import { tokenOption } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import { parseRetention } from './duration.js';
import type { Io } from './io.js';
import { addPayloadOptions, readPayload, type PayloadOptions } from './payload.js';
import { instant, printJson } from './print.js';

export function completeCommand(io: Io): Command {
  const command = keyCommand(
    'complete',
    'Store the result of the attempt that holds the token.',
    `onceward complete order-42 --token 7 --payload '{"charge":"ch_1"}' --content-type application/json`,
  ).addOption(tokenOption());
  return addPayloadOptions(command)
    .option(
      '--result-retention <duration>',
      'how long the result is replayed, or forever (default: what begin asked for)',
      parseRetention,
    )
    .action((key: string, options: CompleteOptions) => complete(io, key, options));
}

interface CompleteOptions extends KeyOptions, PayloadOptions {
  readonly token: bigint;
  readonly resultRetention?: Retention;
}

async function complete(io: Io, key: string, options: CompleteOptions): Promise<void> {
  const payload = await readPayload(io, options);
  await withCoordinator(io, options, async ({ coordinator }) => {
    const response = await coordinator.complete({
      ref: refOf(key, options),
      fencingToken: options.token,
      result: Result.fromPartial({
        payload: payload ?? Buffer.alloc(0),
        contentType: options.contentType ?? '',
      }),
      resultRetention: options.resultRetention,
    });
    if (options.json) {
      printJson(io, CompleteResponse.toJSON(response));
    } else {
      const already = response.already ? ' (it already was)' : '';
      io.stdout.write(`completed${already}  replayed until ${instant(response.expireTime, 'forever')}\n`);
    }
  });
}
