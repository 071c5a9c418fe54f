import { randomBytes } from 'node:crypto';

/** 96 bits that no other process has. */
const ofProcess = randomBytes(12).toString('base64url');
let count = 0;

/** An `attempt_id` that no other attempt has, and that no other process can guess. Short: it is sent, stored and read with every attempt. */
export function nextAttemptId(): string {
  count += 1;
  return `${ofProcess}.${count.toString(36)}`;
}
