import { STATUS_CODES } from 'node:http';
import type { HttpAnswer } from './http-message.js';
import { HttpRefusal } from './http-refusal.js';
import { toldOf } from './rich-error.js';

type Problem = HttpAnswer & { readonly body: Uint8Array };

/** A problem document (RFC 9457). Its type is `about:blank`; `reason` is for programs. */
export function problem(status: number, reason: string, detail: string, retryAfterMs?: number): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  const headers: [string, string][] = [['content-type', 'application/problem+json']];
  if (retryAfterMs !== undefined) {
    headers.push(['retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1000)))]);
  }
  return { status, headers, body: Buffer.from(JSON.stringify({ title, status, detail, reason })) };
}

/** What is answered for an error of the guard's own. */
export function problemOf(error: unknown): Problem {
  if (error instanceof HttpRefusal) return problem(error.status, error.reason, error.message);
  const { reason, message, retryAfterMs = 1000 } = toldOf(error);
  return problem(
    statuses[reason] ?? 500,
    reason,
    message,
    mayComeBack.has(reason) ? retryAfterMs : undefined,
  );
}

const statuses: Readonly<Record<string, number>> = {
  KEY_INVALID: 400,
  IN_PROGRESS: 409,
  LEASE_LOST: 409,
  INDETERMINATE: 409,
  RESULT_EXPIRED: 409,
  RESULT_TOO_LARGE: 409,
  KEY_TOO_OLD: 409,
  KEY_MISMATCH: 422,
  COORDINATOR_UNAVAILABLE: 503,
  RESULT_NOT_STORED: 503,
};

const mayComeBack: ReadonlySet<string> = new Set([
  'IN_PROGRESS',
  'LEASE_LOST',
  'COORDINATOR_UNAVAILABLE',
  'RESULT_NOT_STORED',
]);
