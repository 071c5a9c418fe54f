import { formatDuration } from './duration.js';
import type { Io } from './io.js';
import { instant, printTable } from './print.js';
import { refText, stateName } from './print-record.js';
import type { Cut, Lineage, LineageNode } from './walk-lineage.js';

/** One line a record, below what it was called from; `>` marks the one asked for. */
export function printLineage(io: Io, lineage: Lineage): void {
  const head = ['', 'RECORD', 'STATE', 'OPERATION', 'ATTEMPTS', 'LEASE LEFT', 'CREATED', 'FINISHED'];
  const omitted = lineage.above === 'omitted' ? [['', '… more']] : [];
  printTable(io, head, [...omitted, ...rowsOf(lineage.root, lineage.asked, '', '')]);
  const notes = notesOf(lineage);
  if (notes.length > 0) io.stdout.write(`\n${notes.join('\n')}\n`);
}

function* rowsOf(
  node: LineageNode,
  asked: LineageNode,
  branch: string,
  indent: string,
): Generator<readonly string[]> {
  const { record, children, unread, childrenOmitted } = node;
  yield [
    node === asked ? '>' : '',
    `${branch}${refText(node.ref)}`,
    ...(record === undefined
      ? ['unknown']
      : [
          stateName(record.state),
          record.operation,
          String(record.attempt),
          formatDuration(record.leaseLeft),
          instant(record.createTime),
          instant(record.finishTime),
        ]),
  ];
  const rest = unread === undefined ? (childrenOmitted ? '… more' : undefined) : `… not read: ${unread}`;
  for (const [i, child] of children.entries()) {
    const isLast = i === children.length - 1 && rest === undefined;
    yield* rowsOf(child, asked, `${indent}${isLast ? '└─ ' : '├─ '}`, `${indent}${isLast ? '   ' : '│  '}`);
  }
  if (rest !== undefined) yield ['', `${indent}└─ ${rest}`];
}

function notesOf({ root, above, cuts }: Lineage): readonly string[] {
  const notes = [...cuts].map((cut) => cutNotes[cut]);
  if (above === 'loop') {
    notes.push(
      `loop: ${refText(root.ref)} was called from ${refText(root.record?.parent)}, which stands below it`,
    );
  }
  return notes;
}

const cutNotes: Readonly<Record<Cut, string>> = {
  levels: 'cut: there are more levels; see --depth',
  records: 'cut: there are more records; see --limit',
  answer: 'cut: a record has more children than one answer holds (1000, or 4 MiB)',
};
