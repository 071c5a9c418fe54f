import { Option, type Command } from 'commander';
import { KeyRef, Record } from '../gen/onceward/v1/record.js';
import { usageError, wholeNumber } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import type { Io } from './io.js';
import { lineageMermaid } from './lineage-mermaid.js';
import { printJson } from './print.js';
import { printLineage } from './print-lineage.js';
import { lineageBounds, walkLineage, type Lineage, type LineageNode } from './walk-lineage.js';

export function lineageCommand(io: Io): Command {
  return keyCommand(
    'lineage',
    'Read the whole tree of operations a record belongs to, across namespaces.',
    'onceward lineage order-42 --mermaid',
  )
    .addOption(
      new Option('--depth <n>', 'at most so many levels')
        .argParser(wholeNumber(1))
        .default(lineageBounds.levels),
    )
    .addOption(
      new Option('--limit <n>', 'at most so many records')
        .argParser(wholeNumber(1))
        .default(lineageBounds.records),
    )
    .option('--mermaid', 'as a mermaid flowchart')
    .action((key: string, options: LineageOptions) => lineage(io, key, options));
}

interface LineageOptions extends KeyOptions {
  readonly depth: number;
  readonly limit: number;
  readonly mermaid?: true;
}

async function lineage(io: Io, key: string, options: LineageOptions): Promise<void> {
  if (options.json && options.mermaid) throw usageError('--json and --mermaid exclude each other');
  await withCoordinator(io, options, async ({ coordinator }) => {
    const bounds = { levels: options.depth, records: options.limit };
    const tree = await walkLineage(coordinator, refOf(key, options), bounds);
    if (options.mermaid) io.stdout.write(lineageMermaid(tree));
    else if (options.json) printLines(io, tree, tree.root, 0);
    else printLineage(io, tree);
  });
}

/** Parents before what was called from them. */
function printLines(io: Io, tree: Lineage, node: LineageNode, level: number): void {
  const { ref, record, unread, children, childrenOmitted } = node;
  const above = node === tree.root ? tree.above : 'nothing';
  printJson(io, {
    ...((record === undefined ? { ref: KeyRef.toJSON(ref) } : Record.toJSON(record)) as object),
    level,
    ...(node === tree.asked && { asked: true }),
    ...(unread !== undefined && { unread }),
    ...(childrenOmitted && { childrenOmitted }),
    ...(above === 'omitted' && { parentOmitted: true }),
    ...(above === 'loop' && { loop: true }),
  });
  for (const child of children) printLines(io, tree, child, level + 1);
}
