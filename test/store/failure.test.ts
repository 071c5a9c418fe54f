import pg from 'pg';
import { expect, test } from 'vitest';
import { OncewardError } from '../../src/core/errors.js';
import { classify, isUnreachable, toOncewardError, type FailureKind } from '../../src/store/failure.js';

/** What each error says about the statement, and what a caller is told. */

function databaseError(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError('secret detail', 13, 'error');
  error.code = code;
  return error;
}

const cases: readonly (readonly [string, FailureKind, string])[] = [
  ['40001', 'again', 'serialization_failure'],
  ['40P01', 'again', 'deadlock_detected'],
  ['55P03', 'again', 'lock_not_available'],
  ['57014', 'unavailable', 'query_canceled'],
  ['25006', 'unavailable', 'read_only_sql_transaction'],
  ['53300', 'unavailable', 'too_many_connections'],
  ['22001', 'row', 'string_data_right_truncation'],
  ['22021', 'row', 'character_not_in_repertoire'],
  ['23502', 'row', 'not_null_violation'],
  ['23505', 'row', 'unique_violation'],
  ['23514', 'row', 'check_violation'],
  ['42501', 'program', 'insufficient_privilege'],
  ['42601', 'program', 'syntax_error'],
  ['42P01', 'program', 'undefined_table'],
  ['08000', 'unknown', 'connection_exception'],
  ['08006', 'unknown', 'connection_failure'],
  ['08007', 'unknown', 'transaction_resolution_unknown'],
  ['40003', 'unknown', 'statement_completion_unknown'],
  ['57P01', 'unknown', 'admin_shutdown'],
  ['57P02', 'unknown', 'crash_shutdown'],
  ['57P03', 'unknown', 'cannot_connect_now'],
  ['58030', 'unknown', 'io_error'],
  ['53100', 'unknown', 'disk_full'],
  ['XX000', 'unknown', 'internal_error'],
];

test.each(cases)('%s is %s (%s)', (code, kind) => {
  expect(classify(databaseError(code))).toBe(kind);
});

test.each([
  ['a socket error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
  ["the driver's timeout", new Error('Query read timeout')],
  ['a connection that ended', new Error('Connection terminated unexpectedly')],
  ['what is no error at all', 'nonsense'],
  ['a database error without a code', new pg.DatabaseError('odd', 3, 'error')],
])('%s leaves the outcome unknown', (_, error) => {
  expect(classify(error)).toBe('unknown');
});

const reasons: Readonly<Record<FailureKind, string>> = {
  again: 'STORE_UNAVAILABLE',
  unavailable: 'STORE_UNAVAILABLE',
  unknown: 'STORE_UNAVAILABLE',
  row: 'INTERNAL',
  program: 'INTERNAL',
};

test.each(cases)('callers of %s (%s) learn the reason, not the cause', (code, kind) => {
  const error = toOncewardError(databaseError(code));
  expect(error.reason).toBe(reasons[kind]);
  expect(error.retryAfterMs).toBe(reasons[kind] === 'STORE_UNAVAILABLE' ? 100 : undefined);
  expect(error.message).not.toContain('secret detail');
  expect(error.cause).toBeInstanceOf(pg.DatabaseError);
});

test('our own errors pass through', () => {
  const own = new OncewardError('OVERLOADED', 'full');
  expect(toOncewardError(own)).toBe(own);
});

test.each([
  [databaseError('57P03'), true],
  [databaseError('53300'), true],
  [databaseError('08006'), true],
  [databaseError('28P01'), false],
  [databaseError('3D000'), false],
  [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), true],
  [Object.assign(new Error('connect'), { code: 'ENOENT' }), true],
  [Object.assign(new Error('certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), false],
  [new Error('timeout exceeded when trying to connect'), true],
  [new Error('wrong'), false],
])('%s: worth waiting for the database: %s', (error, worth) => {
  expect(isUnreachable(error)).toBe(worth);
});
