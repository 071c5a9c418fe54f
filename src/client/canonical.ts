import { createHash } from 'node:crypto';
import { fromBinary, toBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';
import type { Fingerprint } from '../core/fingerprint.js';

/** Fingerprints the requests of one method. `value` is what the method's own deserializer made of `bytes`. */
export type Fingerprinter = (bytes: Uint8Array, value: unknown) => Fingerprint;

/**
 * Over the canonical bytes of the message: fields in the order of their numbers, maps in the order of their keys, the excluded fields
 * left out. Two encodings of one request have one fingerprint, and so has a request made before a field was added.
 */
export function descriptorFingerprinter(
  message: DescMessage,
  exclude: readonly string[],
  version: number,
): Fingerprinter {
  const excluded = exclude.map((path) => fieldsOf(message, path));
  return (bytes) => {
    const value = reflect(message, fromBinary(message, bytes));
    for (const path of excluded) clear(value, path);
    sortMaps(value);
    return { version, digest: digestOf(toBinary(message, value.message)) };
  };
}

/** The same without a descriptor: the method's own codec writes the fields in order, of objects whose keys are sorted. */
export function codecFingerprinter(
  requestSerialize: (value: unknown) => Uint8Array,
  version: number,
): Fingerprinter {
  return (_, value) => ({ version, digest: digestOf(requestSerialize(sorted(value))) });
}

export function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** The fields along a path; throws when there is no such path. */
function fieldsOf(message: DescMessage, path: string): readonly DescField[] {
  const fields: DescField[] = [];
  let at: DescMessage | undefined = message;
  for (const name of path.split('.')) {
    const field: DescField | undefined = at?.fields.find((each) => each.name === name);
    if (field === undefined) throw new Error(`fingerprintExclude: ${message.typeName} has no field ${path}`);
    fields.push(field);
    at = field.message;
  }
  return fields;
}

function clear(message: ReflectMessage, [field, ...rest]: readonly DescField[]): void {
  if (field === undefined || !message.isSet(field)) return;
  if (rest.length === 0) message.clear(field);
  else for (const inner of messagesIn(message, field)) clear(inner, rest);
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === 'map') {
      const map = message.get(field);
      const entries = [...map].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
      map.clear();
      for (const [key, value] of entries) map.set(key, value);
    }
    for (const inner of messagesIn(message, field)) sortMaps(inner);
  }
}

function messagesIn(message: ReflectMessage, field: DescField): readonly ReflectMessage[] {
  if (field.message === undefined) return [];
  switch (field.fieldKind) {
    case 'list':
      return [...message.get(field)] as ReflectMessage[];
    case 'map':
      return [...message.get(field).values()] as ReflectMessage[];
    default:
      return [message.get<typeof field & { fieldKind: 'message' }>(field)];
  }
}

/** Plain objects with their keys in order: of a codec only maps notice, as it writes fields in its own. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value instanceof Map) return new Map([...value].sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}
