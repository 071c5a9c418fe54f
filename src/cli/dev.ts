import { Command } from 'commander';
import { loadConfig, type Config } from '../config.js';
import { addressOf } from '../rpc/address.js';
import { createLog } from '../telemetry/log.js';
import { defaultAddress } from './client-command.js';
import { runServer, type RunningServer } from './run-server.js';
import { givenFlags, withServerOptions } from './serve.js';
import { untilStopped } from './until-stopped.js';

export function devCommand(): Command {
  return withServerOptions(new Command('dev'))
    .description(
      'Serve calls for development: an embedded Postgres, a `default` namespace, reflection, log level warn.',
    )
    .addHelpText('after', '\nExample:\n  $ onceward dev\n')
    .action(async (_options: unknown, command: Command) => {
      const { file, flags } = givenFlags(command);
      const config = loadConfig(file, flags, { reflection: true, logLevel: 'warn' });
      const log = createLog(config.logLevel);
      await untilStopped(log, async (signal) => {
        const server = await runServer(config, log, signal);
        await declareDefault(server);
        if (!signal.aborted) process.stdout.write(welcome(server, config));
        return server;
      });
    });
}

/** Declared once: a policy that someone changed since stays. */
async function declareDefault({ coordinator }: RunningServer): Promise<void> {
  const namespaces = await coordinator.listNamespaces();
  if (namespaces.some(({ name }) => name === 'default')) return;
  const { signal } = new AbortController();
  await coordinator.putNamespace(
    { name: 'default', policy: {} },
    { signal, deadlineTime: Infinity, principal: 'onceward dev' },
  );
}

/** What a person reads once calls can be sent, with calls to try that find this coordinator. */
export function welcome(server: RunningServer, config: Config): string {
  const { host, socket, reflection, prometheus } = config;
  const { rpcPort, httpPort, dataFolder, postgresVersion, partitionCount } = server;
  const rpcAddress = addressOf(host, rpcPort);
  const address = rpcAddress === defaultAddress ? '' : ` --address ${rpcAddress}`;
  const run = 'npm run --silent onceward --';
  const rpc = socket === undefined ? rpcAddress : `${rpcAddress}, unix:${socket}`;
  const store = dataFolder === undefined ? 'ONCEWARD_DATABASE_URL' : dataFolder;
  return `
Onceward is ready.

  gRPC   ${rpc}   (plaintext, reflection ${reflection ? 'on' : 'off'})
  HTTP   http://${addressOf(host, httpPort)}/healthz  /readyz${prometheus ? '  /metrics' : ''}
  store  Postgres ${postgresVersion}, ${partitionCount} partitions, data in ${store}

Try it in another terminal: execute, complete, replay.

  ${run} begin order-1${address}
  ${run} complete order-1 --token <the fencing token it printed> --payload 'charged 10 EUR'${address}
  ${run} begin order-1${address}

Ctrl-C drains and stops; the data stays.
`;
}
