import { codeName, type CallError } from '../client/call-error.js';
import { OncewardError } from '../core/errors.js';
import { exitCodeOfError, type ExitCode } from './exit-codes.js';
import type { Io } from './io.js';
import { printable } from './print.js';

/** One line on stderr, one more for each bad field; with --json one object. Sets the exit code. */
export function reportCallError(
  io: Io,
  error: CallError,
  options: { readonly address: string; readonly json?: true },
): void {
  io.exitCode = exitCodeOfError(error);
  const cause = unreachableCause(error);
  const message = cause
    ? `no coordinator at ${options.address} (${cause}); start one with "onceward dev"`
    : error.message;
  if (options.json) {
    const { reason, violations, retryAfterMs, metadata } = error;
    writeJson(io, { code: codeName(error.code), reason, message, violations, retryAfterMs, metadata });
    return;
  }
  const retry = error.retryAfterMs === undefined ? '' : ` (retry after ${error.retryAfterMs} ms)`;
  io.stderr.write(`error: ${cause ? '' : `${error.reason}: `}${printable(message)}${retry}\n`);
  for (const { field, description } of error.violations) {
    io.stderr.write(`  ${printable(field)}: ${printable(description)}\n`);
  }
}

/** Anything else a command ended with. A stack is for whoever mends the program: only its own mistakes print one. */
export function reportFailure(io: Io, error: unknown, json: boolean, exitCode: ExitCode): void {
  io.exitCode = exitCode;
  const reason = error instanceof OncewardError ? error.reason : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    writeJson(io, { reason: reason ?? (exitCode === 2 ? 'USAGE' : 'INTERNAL'), message });
  } else if (error instanceof TypeError || error instanceof ReferenceError) {
    io.stderr.write(`error: INTERNAL: ${error.stack ?? message}\n`);
  } else {
    io.stderr.write(`error: ${reason === undefined ? '' : `${reason}: `}${printable(message)}\n`);
  }
}

function writeJson(io: Io, error: object): void {
  io.stderr.write(`${JSON.stringify({ error, exitCode: io.exitCode })}\n`);
}

/** Why the call never got to a coordinator, undefined if it did; grpc-js says so in words only. */
export function unreachableCause(error: CallError): string | undefined {
  if (error.fromCoordinator) return undefined;
  const refused = /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note:/.exec(
    error.message,
  );
  // What HTTP/1 sounds like to an HTTP/2 client.
  if (refused?.[1]?.startsWith('Protocol error'))
    return 'what answers there is not gRPC; is it the HTTP port?';
  if (refused) return refused[1];
  // A deadline that ran out before there was anybody to send to; afterwards it names the remote address.
  const connecting = error.message.startsWith('Deadline exceeded') && !error.message.includes('remote_addr');
  return connecting || /^(No connection|Name resolution failed|Failed to parse DNS)/.test(error.message)
    ? error.message
    : undefined;
}
