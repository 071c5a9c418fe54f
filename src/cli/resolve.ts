import type { Command } from 'commander';
import { ResolveResponse, type ResolveRequest } from '../gen/onceward/v1/admin.js';
import { Result, Status } from '../gen/onceward/v1/record.js';
import { failureCode, reasonOption, usageError } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import type { Io } from './io.js';
import { addPayloadOptions, readPayload, type PayloadOptions } from './payload.js';
import { printJson } from './print.js';
import { stateName } from './print-record.js';

export function resolveCommand(io: Io): Command {
  const command = keyCommand(
    'resolve',
    'Decide an INDETERMINATE record. Audited.',
    'onceward resolve order-42 --release --reason "the bank never got it"',
  )
    .option('--complete', 'it happened: the payload is its result')
    .option('--fail <code>', 'it did not and will not happen: gRPC code of the final error', failureCode)
    .option('--message <text>', 'with --fail: message of the error')
    .option('--release', 'it did not happen: the next begin executes')
    .addOption(reasonOption());
  return addPayloadOptions(command).action((key: string, options: ResolveOptions) =>
    resolve(io, key, options),
  );
}

interface ResolveOptions extends KeyOptions, PayloadOptions {
  readonly complete?: true;
  readonly fail?: number;
  readonly message?: string;
  readonly release?: true;
  readonly reason: string;
}

async function resolve(io: Io, key: string, options: ResolveOptions): Promise<void> {
  const decision = await decisionOf(io, options);
  await withCoordinator(io, options, async ({ admin }) => {
    const response = await admin.resolve({ ref: refOf(key, options), decision, reason: options.reason });
    if (options.json) printJson(io, ResolveResponse.toJSON(response));
    else
      io.stdout.write(
        `${stateName(response.state).toLowerCase()}${response.already ? ' (it already was)' : ''}\n`,
      );
  });
}

async function decisionOf(io: Io, options: ResolveOptions): Promise<ResolveRequest['decision']> {
  const { complete, fail, message, release, contentType } = options;
  if ([complete, fail, release].filter((given) => given !== undefined).length !== 1) {
    throw usageError('say one of --complete, --fail and --release');
  }
  if (fail === undefined && message !== undefined) throw usageError('--message goes with --fail');
  const payload = await readPayload(io, options);
  if (!complete && (payload !== undefined || contentType !== undefined)) {
    throw usageError('--payload, --payload-file and --content-type go with --complete');
  }
  if (fail !== undefined) {
    return { $case: 'fail', value: Status.fromPartial({ code: fail, message: message ?? '' }) };
  }
  if (release) return { $case: 'release', value: {} };
  return {
    $case: 'complete',
    value: Result.fromPartial({ payload: payload ?? Buffer.alloc(0), contentType: contentType ?? '' }),
  };
}
