import { Option, type Command } from 'commander';
import { Record, State } from '../gen/onceward/v1/record.js';
import { wholeNumber } from './arguments.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import { toDuration } from '../client/duration.js';
import { parseDuration } from './duration.js';
import type { Io } from './io.js';
import { pages } from './pages.js';
import { printJson } from './print.js';
import { printRecords } from './print-record.js';

export function listCommand(io: Io): Command {
  return clientCommand(
    'list',
    'Read records, ordered by key, scope and namespace.',
    'onceward list --state indeterminate --min-age 5m',
  )
    .option('--namespace <name>', 'only this namespace (default: all)')
    .addOption(new Option('--state <state>', 'only this state').choices(Object.keys(states)))
    .option('--prefix <text>', 'only keys that start with this')
    .option('--min-age <duration>', 'only records made at least so long ago', parseDuration)
    .option('--max-age <duration>', 'only records made at most so long ago', parseDuration)
    .option('--limit <n>', 'at most so many', wholeNumber(1), 100)
    .action((options: ListOptions) => list(io, options));
}

const states = {
  'in-progress': State.IN_PROGRESS,
  completed: State.COMPLETED,
  failed: State.FAILED,
  released: State.RELEASED,
  indeterminate: State.INDETERMINATE,
} as const;

interface ListOptions extends ClientOptions {
  readonly namespace?: string;
  readonly state?: keyof typeof states;
  readonly prefix?: string;
  readonly minAge?: number;
  readonly maxAge?: number;
  readonly limit: number;
}

async function list(io: Io, options: ListOptions): Promise<void> {
  const { namespace = '', state, prefix = '', minAge, maxAge, limit } = options;
  await withCoordinator(io, options, async ({ admin }) => {
    const read = async (pageSize: number, pageToken: string) => {
      const { records, nextPageToken } = await admin.listRecords({
        namespace,
        state: state === undefined ? State.UNSPECIFIED : states[state],
        keyPrefix: prefix,
        minAge: minAge === undefined ? undefined : toDuration(minAge),
        maxAge: maxAge === undefined ? undefined : toDuration(maxAge),
        pageSize,
        pageToken,
      });
      return { items: records, nextPageToken };
    };
    const gathered: Record[] = [];
    for await (const page of pages(limit, read)) {
      if (options.json) for (const record of page) printJson(io, Record.toJSON(record));
      else gathered.push(...page);
    }
    if (!options.json) printRecords(io, gathered);
  });
}
