import { codeName, type CallError } from '../client/call-error.js';
import type { BeginResponse } from '../gen/onceward/v1/coordinator.js';

/** What the program's exit codes mean: a contract with scripts. A code never changes its meaning. */
export const exitCodes = {
  0: 'done; begin: execute, you hold the lease',
  1: 'any other failure; doctor: something failed',
  2: 'wrong usage, or the coordinator refused the request (INVALID_ARGUMENT)',
  3: 'no such record or namespace (NOT_FOUND)',
  4: 'the record does not allow it, or the key belongs to another request (FAILED_PRECONDITION)',
  5: 'the lease is lost, or another result is stored (ABORTED); stop',
  6: 'unreachable, overloaded or too slow (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED); the same call may be sent again',
  7: 'not allowed (PERMISSION_DENIED, UNAUTHENTICATED)',
  10: 'begin: replay, it is finished; the stored result was printed',
  11: 'begin: in progress, someone else holds the lease',
  12: 'begin: indeterminate, parked until it is resolved',
  13: 'begin: result expired, it was done and its result is gone',
} as const;

export type ExitCode = keyof typeof exitCodes;

export const usageExitCode: ExitCode = 2;

/** Of a call that failed. */
export function exitCodeOfError(error: CallError): ExitCode {
  return byCode[codeName(error.code)] ?? 1;
}

/** Of what Begin told the caller to do. */
export function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  return byOutcome[outcome];
}

type Outcome = NonNullable<BeginResponse['outcome']>['$case'];

const byOutcome: Readonly<Record<Outcome, ExitCode>> = {
  execute: 0,
  replay: 10,
  inProgress: 11,
  indeterminate: 12,
  resultExpired: 13,
};

const byCode: Readonly<Partial<Record<string, ExitCode>>> = {
  INVALID_ARGUMENT: 2,
  NOT_FOUND: 3,
  FAILED_PRECONDITION: 4,
  ABORTED: 5,
  UNAVAILABLE: 6,
  DEADLINE_EXCEEDED: 6,
  RESOURCE_EXHAUSTED: 6,
  PERMISSION_DENIED: 7,
  UNAUTHENTICATED: 7,
};
