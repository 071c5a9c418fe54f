import type { Command } from 'commander';
import { GetServerInfoResponse } from '../gen/onceward/v1/coordinator.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { instant, printJson, printPairs } from './print.js';

export function infoCommand(io: Io): Command {
  return clientCommand(
    'info',
    'What the coordinator is and what its store promises.',
    'onceward info',
  ).action((options: ClientOptions) => info(io, options));
}

async function info(io: Io, options: ClientOptions): Promise<void> {
  await withCoordinator(io, options, async ({ coordinator }) => {
    const server = await coordinator.getServerInfo({});
    if (options.json) {
      printJson(io, GetServerInfoResponse.toJSON(server));
      return;
    }
    printPairs(io, [
      ['version', server.version],
      ['instance', server.instanceId],
      ['started', instant(server.startTime)],
      ['postgres', server.postgresVersion],
      ['schema', String(server.schemaVersion)],
      ['partitions', String(server.partitionCount)],
      ...server.warnings.map((warning) => ['warning', warning] as const),
    ]);
  });
}
