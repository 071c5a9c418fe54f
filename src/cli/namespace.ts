import { Command, Option } from 'commander';
import { limits } from '../core/limits.js';
import { GetNamespaceRequest, Namespace, Policy } from '../gen/onceward/v1/admin.js';
import { OnLapse, onLapseToJSON, type Retention } from '../gen/onceward/v1/record.js';
import { wholeNumber } from './arguments.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import { toDuration } from '../client/duration.js';
import { formatDuration, formatRetention, parseDuration, parseRetention } from './duration.js';
import type { Io } from './io.js';
import { instant, printJson, printPairs, printTable } from './print.js';

export function namespaceCommand(io: Io): Command {
  return new Command('namespace')
    .description('Declare namespaces and read their policies.')
    .addCommand(putCommand(io))
    .addCommand(getCommand(io))
    .addCommand(listCommand(io))
    .addHelpText('after', '\nExample:\n  onceward namespace put payments --result-retention 7d');
}

interface PutOptions extends ClientOptions {
  readonly onLapse?: 'rerun' | 'park';
  readonly defaultLease?: number;
  readonly maxLease?: number;
  readonly maxAttempts?: number;
  readonly resultRetention?: Retention;
  readonly maxResultRetention?: Retention;
  readonly tombstoneRetention?: Retention;
  readonly abandonedRetention?: Retention;
  readonly maxResultBytes?: number;
  readonly acceptOldKeys?: true;
}

function putCommand(io: Io): Command {
  return clientCommand(
    'put',
    'Declare a namespace, or replace its whole policy: what is not given takes its default.',
    'onceward namespace put payments --on-lapse park --result-retention 7d --tombstone-retention 90d',
  )
    .argument('<name>', 'its name: lower-case letters, digits and . _ -')
    .addOption(
      new Option('--on-lapse <what>', 'what a lapsed lease leads to (default: rerun)').choices([
        'rerun',
        'park',
      ]),
    )
    .option('--default-lease <duration>', 'lease of a begin that names none (default: 30s)', parseDuration)
    .option('--max-lease <duration>', 'longest lease (default: 1h)', parseDuration)
    .option(
      '--max-attempts <n>',
      'grants of a key before it is parked (default: unlimited)',
      wholeNumber(1, limits.maxAttempts),
    )
    .option(
      '--result-retention <duration>',
      'how long results are replayed, or forever (default: 24h)',
      parseRetention,
    )
    .option('--max-result-retention <duration>', 'longest a call may ask for (default: 30d)', parseRetention)
    .option(
      '--tombstone-retention <duration>',
      'how long a key is remembered after its result (default: 0s)',
      parseRetention,
    )
    .option(
      '--abandoned-retention <duration>',
      'how long unfinished records stay (default: 7d)',
      parseRetention,
    )
    .option(
      '--max-result-bytes <n>',
      'largest payload that is kept (default: 1048576)',
      wholeNumber(0, limits.resultBytes),
    )
    .option('--accept-old-keys', 'accept unknown keys born before everything retention remembers')
    .action(async (name: string, options: PutOptions) => {
      await withCoordinator(io, options, async ({ admin }) => {
        const namespace = { name, policy: policyOf(options), createTime: undefined, updateTime: undefined };
        printNamespace(io, options, await admin.putNamespace({ namespace }));
      });
    });
}

function getCommand(io: Io): Command {
  return clientCommand('get', 'Read a namespace.', 'onceward namespace get default')
    .argument('<name>', 'its name')
    .action(async (name: string, options: ClientOptions) => {
      await withCoordinator(io, options, async ({ admin }) => {
        printNamespace(io, options, await admin.getNamespace(GetNamespaceRequest.fromPartial({ name })));
      });
    });
}

function listCommand(io: Io): Command {
  return clientCommand('list', 'Read all namespaces, by name.', 'onceward namespace list').action(
    async (options: ClientOptions) => {
      await withCoordinator(io, options, async ({ admin }) => {
        const { namespaces } = await admin.listNamespaces({});
        if (options.json) for (const namespace of namespaces) printJson(io, Namespace.toJSON(namespace));
        else
          printTable(
            io,
            ['NAME', 'ON LAPSE', 'LEASE', 'RESULTS', 'TOMBSTONES', 'UPDATED'],
            namespaces.map(rowOf),
          );
      });
    },
  );
}

function policyOf(options: PutOptions): Policy {
  return {
    onLapse:
      options.onLapse === undefined
        ? OnLapse.UNSPECIFIED
        : { rerun: OnLapse.RERUN, park: OnLapse.PARK }[options.onLapse],
    defaultLease: options.defaultLease === undefined ? undefined : toDuration(options.defaultLease),
    maxLease: options.maxLease === undefined ? undefined : toDuration(options.maxLease),
    maxAttempts: options.maxAttempts,
    resultRetention: options.resultRetention,
    maxResultRetention: options.maxResultRetention,
    tombstoneRetention: options.tombstoneRetention,
    abandonedRetention: options.abandonedRetention,
    maxResultBytes: options.maxResultBytes,
    refuseOldKeys: options.acceptOldKeys ? false : undefined,
  };
}

function printNamespace(io: Io, options: ClientOptions, namespace: Namespace): void {
  if (options.json) {
    printJson(io, Namespace.toJSON(namespace));
    return;
  }
  const { policy } = namespace;
  printPairs(io, [
    ['name', namespace.name],
    ['on lapse', onLapseName(policy)],
    ['default lease', formatDuration(policy?.defaultLease)],
    ['max lease', formatDuration(policy?.maxLease)],
    ['max attempts', String(policy?.maxAttempts ?? 'unlimited')],
    ['result retention', formatRetention(policy?.resultRetention)],
    ['max result retention', formatRetention(policy?.maxResultRetention)],
    ['tombstone retention', formatRetention(policy?.tombstoneRetention)],
    ['abandoned retention', formatRetention(policy?.abandonedRetention)],
    ['max result bytes', String(policy?.maxResultBytes ?? '-')],
    ['refuse old keys', policy?.refuseOldKeys === false ? 'no' : 'yes'],
    ['created', instant(namespace.createTime)],
    ['updated', instant(namespace.updateTime)],
  ]);
}

function rowOf({ name, policy, updateTime }: Namespace): string[] {
  return [
    name,
    onLapseName(policy),
    formatDuration(policy?.defaultLease),
    formatRetention(policy?.resultRetention),
    formatRetention(policy?.tombstoneRetention),
    instant(updateTime),
  ];
}

function onLapseName(policy: Policy | undefined): string {
  return onLapseToJSON(policy?.onLapse ?? OnLapse.UNSPECIFIED)
    .replace(/^ON_LAPSE_/, '')
    .toLowerCase();
}
