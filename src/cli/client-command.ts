import { Command, Option } from 'commander';
import { CallError } from '../client/call-error.js';
import { connectCoordinator, type CoordinatorConnection } from '../client/coordinator-client.js';
import type { KeyRef } from '../gen/onceward/v1/record.js';
import { nonEmpty } from './arguments.js';
import { durationWithin } from './duration.js';
import type { Io } from './io.js';
import { reportCallError } from './report-error.js';

/** Where `serve` and `dev` listen unless they are told otherwise. */
export const defaultAddress = '127.0.0.1:7400';

/** Far beyond what a coordinator works on one call, ms. */
const longestTimeoutMs = 86_400_000;

/** What every command has that talks to a coordinator. */
export interface ClientOptions {
  readonly address: string;
  readonly json?: true;
  /** How long a call may take, ms. */
  readonly timeout: number;
}

/** What every command has that names a record. */
export interface KeyOptions extends ClientOptions {
  readonly namespace: string;
  readonly scope: string;
}

/** A command that talks to a coordinator. */
export function clientCommand(name: string, description: string, example: string): Command {
  return new Command(name)
    .description(description)
    .addOption(
      new Option('--address <host:port>', 'where the coordinator is, or unix:<path>')
        .env('ONCEWARD_ADDRESS')
        .argParser(nonEmpty)
        .default(defaultAddress),
    )
    .addOption(
      new Option('--timeout <duration>', 'how long a call may take')
        .argParser(durationWithin(1, longestTimeoutMs))
        .default(10_000, '10s'),
    )
    .option('--json', 'one JSON object a line, for scripts')
    .addHelpText('after', `\nExample:\n  ${example}`);
}

/** A client command whose argument is the key of one record. */
export function keyCommand(name: string, description: string, example: string): Command {
  return clientCommand(name, description, example)
    .argument('<key>', 'the idempotency key')
    .addOption(namespaceOption())
    .addOption(
      new Option('--scope <scope>', 'the customer or tenant the key belongs to').default('', 'none'),
    );
}

export function namespaceOption(): Option {
  return new Option('--namespace <name>', 'the namespace of the key')
    .env('ONCEWARD_NAMESPACE')
    .default('default');
}

export function refOf(key: string, options: KeyOptions): KeyRef {
  return { namespace: options.namespace, scope: options.scope, key };
}

/** Runs against the coordinator; a call that fails is reported and becomes the exit code. */
export async function withCoordinator(
  io: Io,
  options: ClientOptions,
  run: (connection: CoordinatorConnection) => Promise<void>,
): Promise<void> {
  const connection = connectCoordinator({ address: options.address, deadlineMs: options.timeout });
  try {
    await run(connection);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    reportCallError(io, error, options);
  } finally {
    connection.close();
  }
}
