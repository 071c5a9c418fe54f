import type { KeyRef } from '../core/key.js';
import type { Seen } from '../core/record.js';

/** Of a record in an answer: its numbers, its times, and the tags and lengths of its fields. */
const overheadBytes = 256;
/** Of one label: tags and lengths. */
const labelOverheadBytes = 8;

/** At most how many bytes a record takes in an answer, its result aside. */
export function bytesOfRecord({ record }: Seen): number {
  const { ref, parent, operation, traceparent, labels, lastError } = record;
  let bytes = overheadBytes + bytesOfRef(ref) + operation.length + traceparent.length;
  if (parent !== undefined) bytes += bytesOfRef(parent);
  for (const [name, value] of Object.entries(labels)) {
    bytes += labelOverheadBytes + name.length + Buffer.byteLength(value);
  }
  return bytes + (lastError?.status.length ?? 0);
}

/** The first records that fit together into `maxBytes` of an answer. */
export function fitting(records: readonly Seen[], maxBytes: number): readonly Seen[] {
  let bytes = 0;
  const count = records.findIndex((seen) => {
    bytes += bytesOfRecord(seen);
    return bytes > maxBytes;
  });
  return count === -1 ? records : records.slice(0, count);
}

function bytesOfRef({ namespace, scope, key }: KeyRef): number {
  return namespace.length + scope.length + key.length;
}
