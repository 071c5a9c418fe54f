import type { Command } from 'commander';
import { FailRequest_Kind, FailResponse } from '../gen/onceward/v1/coordinator.js';
import { Status } from '../gen/onceward/v1/record.js';
import { failureCode, tokenOption, usageError } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import { toDuration } from '../client/duration.js';
import { parseDuration } from './duration.js';
import type { Io } from './io.js';
import { printJson } from './print.js';
import { stateName } from './print-record.js';

export function failCommand(io: Io): Command {
  return keyCommand(
    'fail',
    'Store a final failure, or give the lease back after an infrastructure failure.',
    'onceward fail order-42 --token 7 --final --code FAILED_PRECONDITION --message "card declined"',
  )
    .addOption(tokenOption())
    .option('--final', 'a business failure: stored and replayed')
    .option('--retryable', 'an infrastructure failure: the key is free at once, nothing is replayed')
    .requiredOption('--code <code>', 'gRPC code of the failure, by name or number', failureCode)
    .option('--message <text>', 'message of the failure')
    .option('--retry-after <duration>', 'with --retryable: when another attempt makes sense', parseDuration)
    .action((key: string, options: FailOptions) => fail(io, key, options));
}

interface FailOptions extends KeyOptions {
  readonly token: bigint;
  readonly final?: true;
  readonly retryable?: true;
  readonly code: number;
  readonly message?: string;
  readonly retryAfter?: number;
}

async function fail(io: Io, key: string, options: FailOptions): Promise<void> {
  const { code, message = '', retryAfter } = options;
  if (options.final === options.retryable) throw usageError('say either --final or --retryable');
  if (options.final && retryAfter !== undefined) throw usageError('--retry-after goes with --retryable');
  await withCoordinator(io, options, async ({ coordinator }) => {
    const response = await coordinator.fail({
      ref: refOf(key, options),
      fencingToken: options.token,
      kind: options.final ? FailRequest_Kind.FINAL : FailRequest_Kind.RETRYABLE,
      status: Status.fromPartial({ code, message }),
      retryAfter: retryAfter === undefined ? undefined : toDuration(retryAfter),
    });
    if (options.json) printJson(io, FailResponse.toJSON(response));
    else
      io.stdout.write(
        `${stateName(response.state).toLowerCase()}${response.already ? ' (it already was)' : ''}\n`,
      );
  });
}
