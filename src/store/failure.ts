import pg from 'pg';
import { OncewardError } from '../core/errors.js';

/**
 * What an error of Postgres or its driver says about the statement:
 * - `again`: definitely not committed, and the same statement may well succeed (deadlock, serialisation, lock timeout);
 * - `row`: definitely not committed, because of the data: in a batch, one row's fault;
 * - `program`: definitely not committed, and a bug of ours;
 * - `unavailable`: definitely not committed, and not now (cancelled, read-only, too many connections);
 * - `unknown`: it may have been committed.
 */
export type FailureKind = 'again' | 'row' | 'program' | 'unavailable' | 'unknown';

export function classify(error: unknown): FailureKind {
  // A number that is too large for its column never left this process.
  if (error instanceof RangeError) return 'row';
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'unknown';
  const { code } = error;
  // 40003 is statement_completion_unknown; 57014 is our own cancel, of a statement that was still running.
  if (code === '40001' || code === '40P01' || code === '55P03') return 'again';
  if (code === '57014' || code === '25006' || code === '53300') return 'unavailable';
  const group = code.slice(0, 2);
  if (group === '22' || group === '23') return 'row';
  if (group === '42') return 'program';
  return 'unknown';
}

/** The error a caller sees. Details of the database stay in `cause`, for the log. */
export function toOncewardError(error: unknown): OncewardError {
  if (error instanceof OncewardError) return error;
  switch (classify(error)) {
    case 'row':
      return new OncewardError('INTERNAL', 'the store refused the record', { cause: error });
    case 'program':
      return new OncewardError('INTERNAL', 'the store refused the statement', { cause: error });
    case 'again':
    case 'unavailable':
      return storeUnavailable('the store could not do it; send the same call again', error);
    case 'unknown':
      return storeUnavailable(
        'the store did not answer; send the same call again to learn the outcome',
        error,
      );
  }
}

/** What work in the store answers, with its failure as ours. */
export async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw toOncewardError(error);
  }
}

function storeUnavailable(message: string, cause?: unknown): OncewardError {
  return new OncewardError('STORE_UNAVAILABLE', message, { retryAfterMs: 100, cause });
}

/** Whether this server takes no writes: it is a standby, perhaps since a moment ago. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '25006';
}

/** Whether the database may just not be there yet: no connection, or it is starting, stopping or full. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(57P0|53300|08)/.test(error.code ?? '');
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'string')
    return /^(ECONN|ENOTFOUND|ETIMEDOUT|EHOST|ENET|EAI_AGAIN|EPIPE|ENOENT)/.test(code);
  return error instanceof Error && /timeout|terminated/i.test(error.message);
}
