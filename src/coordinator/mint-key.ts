import { randomBytes } from 'node:crypto';
import { hybridKey, uuidV7 } from '../core/key.js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import type { Parts } from './parts.js';

export interface MintKeyRequest {
  readonly namespace: string;
  readonly scope: string;
  /** Empty: a UUIDv7. */
  readonly clientRequestId: string;
}

/** Makes a key, without storing anything. A UUIDv7 carries the database's time, by which KEY_TOO_OLD judges it. */
export async function mintKey(parts: Parts, request: MintKeyRequest): Promise<string> {
  const { namespace, scope, clientRequestId } = request;
  const violations = new Violations();
  violations.namespace('namespace', namespace);
  violations.ascii('scope', scope, 0, limits.scopeLength);
  violations.bytes('client_request_id', Buffer.byteLength(clientRequestId), 0, limits.keyLength);
  // Undecodable bytes arrive as U+FFFD: two different ids would make one key.
  if (clientRequestId.includes('\ufffd')) violations.add('client_request_id', 'must be valid UTF-8');
  violations.throwIfAny();
  const { mintSecret } = await parts.namespaces.get(namespace);
  if (clientRequestId !== '') return hybridKey(mintSecret, scope, clientRequestId);
  return uuidV7(parts.sync.databaseTime(), randomBytes(10));
}
