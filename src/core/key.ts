import { createHash, createHmac } from 'node:crypto';
import { limits } from './limits.js';
import type { Violations } from './violations.js';

/** The identity of an operation. */
export interface KeyRef {
  readonly namespace: string;
  readonly scope: string;
  readonly key: string;
}

/** The identity as one string, for maps. The grammar has no NUL, so two identities never share it. */
export function identityOf(ref: KeyRef): string {
  return `${ref.namespace}\0${ref.scope}\0${ref.key}`;
}

/** A short stand-in for the identity where raw keys must not go (notifications, logs): 96 bits of SHA-256. */
export function identityHash(identity: string): string {
  return createHash('sha256').update(identity).digest('base64url').slice(0, 16);
}

/** Checks the grammar; `path` is where the reference stands in the request. */
export function checkKeyRef(ref: KeyRef | undefined, path: string, violations: Violations): KeyRef {
  if (ref === undefined) {
    violations.add(path, 'is required');
    return { namespace: '', scope: '', key: '' };
  }
  violations.namespace(`${path}.namespace`, ref.namespace);
  violations.ascii(`${path}.scope`, ref.scope, 0, limits.scopeLength);
  violations.ascii(`${path}.key`, ref.key, 1, limits.keyLength);
  return { namespace: ref.namespace, scope: ref.scope, key: ref.key };
}

/** When a UUIDv7 key was made, ms since the epoch; undefined for every other key. */
export function birthTimeOf(key: string): number | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(key)) return undefined;
  return Number.parseInt(key.slice(0, 8) + key.slice(9, 13), 16);
}

/** A UUIDv7 of the given time, ms, and 10 random bytes. */
export function uuidV7(timeMs: number, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.trunc(timeMs), 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The key of an untrusted client's request id: neither collides nor can be guessed across scopes. */
export function hybridKey(secret: Uint8Array, scope: string, clientRequestId: string): string {
  return `h1.${createHmac('sha256', secret).update(`${scope}\0${clientRequestId}`).digest('base64url')}`;
}
