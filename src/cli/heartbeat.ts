import type { Command } from 'commander';
import { HeartbeatResponse } from '../gen/onceward/v1/coordinator.js';
import { tokenOption, wholeBigint } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import { toDuration } from '../client/duration.js';
import { formatDuration, parseDuration } from './duration.js';
import type { Io } from './io.js';
import { readBytes } from './payload.js';
import { printJson } from './print.js';

export function heartbeatCommand(io: Io): Command {
  return keyCommand(
    'heartbeat',
    'Extend the lease, and say how far the work got.',
    'onceward heartbeat order-42 --token 7 --lease 1m --checkpoint "page 3"',
  )
    .addOption(tokenOption())
    .option(
      '--lease <duration>',
      "how long the lease shall last from now (default: the namespace's)",
      parseDuration,
    )
    .option('--checkpoint <text>', 'how far the work got, given to the next attempt')
    .option('--checkpoint-file <file>', 'the same, from a file; - for stdin')
    .option(
      '--checkpoint-sequence <n>',
      'a checkpoint with a smaller number than the stored one is ignored',
      wholeBigint(0n),
    )
    .action((key: string, options: HeartbeatOptions) => heartbeat(io, key, options));
}

interface HeartbeatOptions extends KeyOptions {
  readonly token: bigint;
  readonly lease?: number;
  readonly checkpoint?: string;
  readonly checkpointFile?: string;
  readonly checkpointSequence?: bigint;
}

async function heartbeat(io: Io, key: string, options: HeartbeatOptions): Promise<void> {
  const checkpoint = await readBytes(io, 'checkpoint', options.checkpoint, options.checkpointFile);
  await withCoordinator(io, options, async ({ coordinator }) => {
    const response = await coordinator.heartbeat({
      ref: refOf(key, options),
      fencingToken: options.token,
      lease: options.lease === undefined ? undefined : toDuration(options.lease),
      checkpoint,
      checkpointSequence: options.checkpointSequence ?? 0n,
    });
    if (options.json) printJson(io, HeartbeatResponse.toJSON(response));
    else io.stdout.write(`extended  lease left ${formatDuration(response.leaseLeft)}\n`);
  });
}
