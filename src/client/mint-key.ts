import { randomBytes } from 'node:crypto';
import { uuidV7 } from '../core/key.js';

/** A key that no other call has, and that tells its birth. */
export function mintKey(): string {
  return uuidV7(Date.now(), randomBytes(10));
}
