import type { Command } from 'commander';
import { CallError } from '../client/call-error.js';
import { connectCoordinator, type CoordinatorConnection } from '../client/coordinator-client.js';
import type { GetServerInfoResponse } from '../gen/onceward/v1/coordinator.js';
import { clientCommand, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { printable, printJson } from './print.js';
import { unreachableCause } from './report-error.js';

export function doctorCommand(io: Io): Command {
  return clientCommand(
    'doctor',
    'Check that the coordinator can be reached, serves, and keeps its promises.',
    'onceward doctor --address 127.0.0.1:7400',
  ).action((options: ClientOptions) => doctor(io, options));
}

/** Something that was looked at. */
interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  readonly check: string;
  readonly message: string;
}

async function doctor(io: Io, options: ClientOptions): Promise<void> {
  const connection = connectCoordinator({ address: options.address, deadlineMs: options.timeout });
  try {
    // One after another, so that what is said first is the cause of what follows.
    for await (const finding of findings(connection, options.address)) {
      if (finding.level === 'fail') io.exitCode = 1;
      if (options.json) printJson(io, finding);
      else io.stdout.write(`${finding.level.padEnd(4)}  ${finding.check}: ${printable(finding.message)}\n`);
    }
  } finally {
    connection.close();
  }
}

async function* findings(connection: CoordinatorConnection, address: string): AsyncGenerator<Finding> {
  const server = await attempt(() => connection.coordinator.getServerInfo({}));
  if (server instanceof CallError) {
    const cause = unreachableCause(server);
    const message = cause ? `${cause}; start one with "onceward dev"` : `${server.reason}: ${server.message}`;
    yield { level: 'fail', check: 'reach', message: `${address}: ${message}` };
    // A coordinator whose store is down still says so in its health.
    if (server.fromCoordinator) yield await healthFinding(connection);
    return;
  }
  yield { level: 'ok', check: 'reach', message: `${address} answers, instance ${server.instanceId}` };
  yield await healthFinding(connection);
  yield* storeFindings(server);
  yield await roundTripFinding(connection);
  yield await namespaceFinding(connection);
}

async function healthFinding(connection: CoordinatorConnection): Promise<Finding> {
  const health = await attempt(() => connection.health(''));
  if (health instanceof CallError) {
    return { level: 'fail', check: 'health', message: `${health.reason}: ${health.message}` };
  }
  return { level: health === 'SERVING' ? 'ok' : 'fail', check: 'health', message: health };
}

function* storeFindings(server: GetServerInfoResponse): Generator<Finding> {
  const { version, postgresVersion, schemaVersion, partitionCount, warnings } = server;
  yield {
    level: 'ok',
    check: 'store',
    message: `onceward ${version}, Postgres ${postgresVersion}, schema ${schemaVersion}, ${partitionCount} partitions`,
  };
  for (const warning of warnings) yield { level: 'warn', check: 'store', message: warning };
}

/** Beyond it a begin costs more than most operations it guards; ms. */
const slowRoundTripMs = 50;

async function roundTripFinding(connection: CoordinatorConnection): Promise<Finding> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const answer = await attempt(() => connection.coordinator.getServerInfo({}));
    if (answer instanceof CallError) {
      return { level: 'fail', check: 'round trip', message: `${answer.reason}: ${answer.message}` };
    }
    times.push(performance.now() - start);
  }
  // The median: the first of a process is slower than those that follow.
  const median = times.sort((a, b) => a - b)[2] ?? 0;
  return {
    level: median > slowRoundTripMs ? 'warn' : 'ok',
    check: 'round trip',
    message: `${median.toFixed(1)} ms, the median of ${times.length}`,
  };
}

async function namespaceFinding(connection: CoordinatorConnection): Promise<Finding> {
  const check = 'namespaces';
  const answer = await attempt(() => connection.admin.listNamespaces({}));
  // Who may not administer can still be a healthy client.
  if (answer instanceof CallError)
    return { level: 'warn', check, message: `${answer.reason}: ${answer.message}` };
  const names = answer.namespaces.map(({ name }) => name);
  if (names.length > 0) return { level: 'ok', check, message: names.join(', ') };
  return { level: 'warn', check, message: 'none is declared; use "onceward namespace put default"' };
}

async function attempt<T>(run: () => Promise<T>): Promise<T | CallError> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
}
