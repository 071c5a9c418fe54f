import { Metadata, status } from '@grpc/grpc-js';
import { limits } from '../core/limits.js';
import type { Replay } from '../gen/onceward/v1/coordinator.js';
import { codeName } from './call-error.js';
import type { Settlement } from './finish.js';
import type { HttpAnswer } from './http-message.js';
import type { HttpOptions } from './http-options.js';
import { problem, problemOf } from './http-problem.js';
import { OperationError } from './operation-error.js';
import { failureOf, replayedFailure, storedMetadata, storedResult, storedStatus } from './recorded.js';
import { unreplayedNames } from './service.js';

const statusName = 'http-status';
const replayedName = 'idempotency-replayed';

/**
 * What an answer is to be at the coordinator. One that is final is completed also when it tells of a failure, as only what is completed has a
 * payload, and a replay has the body of the original.
 */
export function settlementOfAnswer<Request>(options: HttpOptions<Request>, answer: HttpAnswer): Settlement {
  const final = options.isFinal?.(answer.status) ?? isFinal(answer.status);
  if (!final) return retryable(httpCodes[answer.status] ?? status.UNKNOWN, `HTTP ${answer.status}`);
  const trailing = [{ name: statusName, value: Buffer.from(String(answer.status)) }];
  const room = { entries: limits.metadataEntries - 1, bytes: limits.metadataBytes - statusName.length - 3 };
  const initial = storedMetadata(metadataOf(answer.headers), replayRule(options.replayHeaders), room);
  const result = storedResult(answer.body, contentTypeOf(answer.headers), initial, trailing);
  return {
    kind: 'complete',
    result: answer.body === undefined ? { ...result, payloadOmitted: true } : result,
  };
}

/** What a handler that threw is to be at the coordinator. */
export function settlementOfThrown(error: unknown): Settlement {
  return { kind: 'retryable', status: storedStatus(failureOf(error)) };
}

/** The stored answer, marked as a replay. */
export function replayedAnswer({ result }: Replay): HttpAnswer & { readonly body: Uint8Array } {
  const stored = result ?? storedResult(new Uint8Array(), '', [], []);
  const mark = [replayedName, 'true'] as const;
  // Only an operator's Resolve stores a failure.
  const failure = replayedFailure(stored);
  if (failure !== undefined) {
    const answer = problem(statusesOfCodes[failure.code] ?? 500, codeName(failure.code), failure.message);
    return { ...answer, headers: [...answer.headers, mark] };
  }
  if (stored.payloadOmitted) {
    const text = 'the request was executed, and its response was too large to keep';
    const answer = problemOf(new OperationError('RESULT_TOO_LARGE', text));
    return { ...answer, headers: [...answer.headers, mark] };
  }
  const given = stored.initialMetadata.map(({ name, value }) => [name, value.toString('latin1')] as const);
  const typed = given.some(([name]) => name === 'content-type') || stored.contentType === '';
  const headers = typed ? given : [['content-type', stored.contentType] as const, ...given];
  const told = stored.trailingMetadata.find(({ name }) => name === statusName)?.value.toString();
  return {
    status: told === undefined ? 200 : Number(told),
    headers: [...headers, mark],
    body: stored.payload ?? new Uint8Array(),
  };
}

/** A passing failure, or one that other credentials mend: the same request may succeed later. */
const passing: ReadonlySet<number> = new Set([401, 403, 408, 409, 425, 429]);

function isFinal(given: number): boolean {
  return given >= 200 && given < 500 && !passing.has(given);
}

/** What the record of a released key says of the last attempt. */
const httpCodes: Readonly<Record<number, status>> = {
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  408: status.DEADLINE_EXCEEDED,
  409: status.ABORTED,
  429: status.RESOURCE_EXHAUSTED,
  500: status.INTERNAL,
  501: status.UNIMPLEMENTED,
  502: status.UNAVAILABLE,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

const statusesOfCodes: Readonly<Partial<Record<status, number>>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.FAILED_PRECONDITION]: 400,
  [status.OUT_OF_RANGE]: 400,
  [status.UNAUTHENTICATED]: 401,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.ABORTED]: 409,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
  [status.DEADLINE_EXCEEDED]: 504,
};

function retryable(code: status, message: string): Settlement {
  return { kind: 'retryable', status: { code, message, details: Buffer.alloc(0) } };
}

/** Of the connection, of one response, or made anew for each. */
const unreplayedHeaders: ReadonlySet<string> = new Set([
  ...unreplayedNames,
  'connection',
  'content-length',
  'idempotency-key',
  replayedName,
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** A response is not readable without them. */
const alwaysReplayed = ['content-type', 'content-encoding'];

function replayRule(names: readonly string[] | undefined): (name: string) => boolean {
  if (names === undefined) return (name) => !unreplayedHeaders.has(name);
  const listed = new Set([...alwaysReplayed, ...names.map((name) => name.toLowerCase())]);
  return (name) => listed.has(name);
}

/** What the coordinator takes as metadata; the content type first, so that others can't take its room. */
function metadataOf(headers: HttpAnswer['headers']): Metadata {
  const metadata = new Metadata();
  const storable = headers
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name, value]) => /^[0-9a-z_.-]+(?<!-bin)$/.test(name) && /^[\x20-\x7e]*$/.test(value));
  const isType = ([name]: readonly [string, string]) => name === 'content-type';
  for (const [name, value] of storable.filter(isType)) metadata.add(name, value);
  for (const entry of storable) if (!isType(entry)) metadata.add(...entry);
  return metadata;
}

/** A replay has the header itself. */
function contentTypeOf(headers: HttpAnswer['headers']): string {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
}
