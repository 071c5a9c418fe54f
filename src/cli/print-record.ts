import { codeName } from '../client/call-error.js';
import { stateToJSON, type KeyRef, type Record, type Result, type State } from '../gen/onceward/v1/record.js';
import { formatDuration } from './duration.js';
import type { Io } from './io.js';
import { bytesText, instant, printable, printPairs, printTable } from './print.js';

/** Everything known about one record. */
export function printRecord(io: Io, record: Record): void {
  const { lastError, leaseLeft } = record;
  printPairs(io, [
    ['key', refText(record.ref)],
    ['state', stateName(record.state)],
    ['operation', printable(record.operation)],
    ['attempts', String(record.attempt)],
    ['fencing token', String(record.fencingToken)],
    ['lease left', leaseLeft && formatDuration(leaseLeft)],
    ['created', instant(record.createTime)],
    ['finished', record.finishTime && instant(record.finishTime)],
    ['result until', record.finishTime && instant(record.expireTime, 'forever')],
    ['record until', record.recordExpireTime && instant(record.recordExpireTime)],
    ['parent', record.parent && refText(record.parent)],
    ['labels', labelsText(record.labels)],
    ['trace', record.traceparent || undefined],
    [
      'last error',
      lastError &&
        `${codeName(lastError.status?.code ?? 2)}: ${printable(lastError.status?.message ?? '')} (${instant(lastError.time)})`,
    ],
    ['retry after', lastError?.retryAfter && formatDuration(lastError.retryAfter)],
    ...(record.result ? resultPairs(io, record.result) : []),
  ]);
  if (record.children.length > 0) {
    io.stdout.write('\ncalled from here:\n');
    printRecords(io, record.children);
  }
}

/** One line a record. */
export function printRecords(io: Io, records: readonly Record[]): void {
  const head = ['NAMESPACE', 'SCOPE', 'KEY', 'STATE', 'OPERATION', 'ATTEMPTS', 'LEASE LEFT', 'CREATED'];
  const rows = records.map((record) => [
    record.ref?.namespace ?? '',
    record.ref?.scope || '-',
    record.ref?.key ?? '',
    stateName(record.state),
    record.operation,
    String(record.attempt),
    formatDuration(record.leaseLeft),
    instant(record.createTime),
  ]);
  printTable(io, head, rows);
}

/** What a finished operation answered. */
export function resultPairs(io: Io, result: Result | undefined): [string, string | undefined][] {
  const { status, payload, contentType = '', payloadOmitted } = result ?? {};
  const failed = status !== undefined && status.code !== 0;
  return [
    ['status', failed ? `${codeName(status.code)}: ${printable(status.message)}` : 'OK'],
    ['content type', contentType || undefined],
    [
      'payload',
      payloadOmitted
        ? '(too large, was not kept)'
        : failed && !payload
          ? undefined
          : bytesText(io, payload ?? Buffer.alloc(0)),
    ],
    ['metadata', metadataText(io, result)],
  ];
}

/** `STATE_IN_PROGRESS` → `IN_PROGRESS`. */
export function stateName(state: State): string {
  return stateToJSON(state).replace(/^STATE_/, '');
}

export function refText(ref: KeyRef | undefined): string {
  if (ref === undefined) return '-';
  return `${ref.namespace}/${ref.key}${ref.scope === '' ? '' : ` (scope ${ref.scope})`}`;
}

function labelsText(labels: Readonly<{ [name: string]: string }>): string | undefined {
  const text = Object.entries(labels).map(([name, value]) => `${name}=${printable(value)}`);
  return text.length === 0 ? undefined : text.join(' ');
}

function metadataText(io: Io, result: Result | undefined): string | undefined {
  const entries = [...(result?.initialMetadata ?? []), ...(result?.trailingMetadata ?? [])];
  if (entries.length === 0) return undefined;
  return entries.map(({ name, value }) => `${name}: ${bytesText(io, value)}`).join('\n');
}
