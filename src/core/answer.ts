import { limits } from './limits.js';
import type { Violations } from './violations.js';

/** A gRPC status as a service answered it. */
export interface AnswerStatus {
  readonly code: number;
  readonly message: string;
  readonly details: Uint8Array;
}

/** One metadata entry to replay. */
export interface MetadataEntry {
  readonly name: string;
  readonly value: Uint8Array;
}

/** The highest gRPC code, UNAUTHENTICATED. */
const maxCode = 16;

export function checkStatus(status: AnswerStatus, path: string, violations: Violations): void {
  violations.range(`${path}.code`, status.code, 0, maxCode);
  violations.bytes(`${path}.message`, Buffer.byteLength(status.message), 0, limits.statusMessageBytes);
  violations.bytes(`${path}.details`, status.details.length, 0, limits.statusDetailsBytes);
}

/** `lists` are the metadata of one result by field; the limits hold for all of them together. */
export function checkMetadata(
  lists: Readonly<Record<string, readonly MetadataEntry[]>>,
  path: string,
  violations: Violations,
): void {
  let entries = 0;
  let bytes = 0;
  for (const [field, list] of Object.entries(lists)) {
    for (const entry of list) {
      entries += 1;
      bytes += entry.name.length + entry.value.length;
      checkEntry(entry, `${path}${field}`, violations);
    }
  }
  if (entries > limits.metadataEntries) {
    violations.add(`${path}metadata`, `must have at most ${limits.metadataEntries} entries, has ${entries}`);
  }
  violations.bytes(`${path}metadata`, bytes, 0, limits.metadataBytes);
}

function checkEntry({ name, value }: MetadataEntry, path: string, violations: Violations): void {
  if (name.length > limits.metadataNameLength || !/^[0-9a-z_.-]+$/.test(name) || name.startsWith('grpc-')) {
    violations.add(
      path,
      `names must match [0-9a-z_.-]{1,${limits.metadataNameLength}} and not begin with grpc-`,
    );
    return;
  }
  violations.bytes(path, value.length, 0, limits.metadataValueBytes);
  const binary = name.endsWith('-bin');
  if (!binary && value.some((byte) => byte < 0x20 || byte > 0x7e)) {
    violations.add(path, 'values must be printable ASCII, unless the name ends in -bin');
  }
}
