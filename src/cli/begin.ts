import { createHash, randomUUID } from 'node:crypto';
import { Option, type Command } from 'commander';
import { limits } from '../core/limits.js';
import { BeginResponse, type Execute } from '../gen/onceward/v1/coordinator.js';
import { OnLapse, type Fingerprint, type KeyRef, type Retention } from '../gen/onceward/v1/record.js';
import { hexBytes, nameValue, usageError, wholeNumber } from './arguments.js';
import { keyCommand, refOf, withCoordinator, type KeyOptions } from './client-command.js';
import { toDuration } from '../client/duration.js';
import { formatDuration, parseDuration, parseRetention } from './duration.js';
import { exitCodeOfOutcome } from './exit-codes.js';
import type { Io } from './io.js';
import { bytesText, instant, printJson, printPairs } from './print.js';
import { finishLine } from './finish-line.js';
import { resultPairs } from './print-record.js';

export function beginCommand(io: Io): Command {
  return keyCommand(
    'begin',
    'Ask whether to execute an operation. The exit code is the answer: see "onceward --help".',
    'onceward begin order-42 --operation charge --lease 1m',
  )
    .option('--operation <label>', 'what is being done: a gRPC method or any label', 'cli')
    .option(
      '--attempt-id <id>',
      'of this execution attempt; give the same one to send a begin again (default: a new UUID)',
    )
    .option('--lease <duration>', "how long the lease shall last (default: the namespace's)", parseDuration)
    .addOption(
      new Option('--wait <duration>', 'how long to stay when someone else is running it')
        .argParser(parseDuration)
        .default(0, '0s'),
    )
    .option('--fingerprint <hex>', 'digest of the request; another one for this key is refused', hexBytes)
    .option('--fingerprint-of <text>', 'the same, made of a text with SHA-256')
    .option(
      '--fingerprint-version <n>',
      'which algorithm made it; only digests of one version are compared',
      wholeNumber(0, limits.fingerprintVersion),
      0,
    )
    .option('--parent <namespace/key>', 'the operation this one is called from')
    .option('--parent-scope <scope>', "scope of the parent (default: this key's)")
    .addOption(
      new Option('--label <name=value>', 'stored with a new record; may be repeated')
        .argParser(nameValue)
        .default({}, 'none'),
    )
    .addOption(
      new Option('--on-lapse <what>', "what a lapsed lease leads to (default: the namespace's)").choices([
        'rerun',
        'park',
      ]),
    )
    .option(
      '--result-retention <duration>',
      "how long the result is replayed, or forever (default: the namespace's)",
      parseRetention,
    )
    .action((key: string, options: BeginOptions, command: Command) => begin(io, key, options, command));
}

interface BeginOptions extends KeyOptions {
  readonly operation: string;
  readonly attemptId?: string;
  readonly lease?: number;
  readonly wait: number;
  readonly fingerprint?: Buffer;
  readonly fingerprintOf?: string;
  readonly fingerprintVersion: number;
  readonly parent?: string;
  readonly parentScope?: string;
  readonly label: Record<string, string>;
  readonly onLapse?: 'rerun' | 'park';
  readonly resultRetention?: Retention;
}

async function begin(io: Io, key: string, options: BeginOptions, command: Command): Promise<void> {
  const attemptId = options.attemptId ?? randomUUID();
  // A wait is cut to the call's deadline, so a default deadline must not cut the wait that was asked for.
  const deadlineMs =
    options.timeout + (command.getOptionValueSource('timeout') === 'default' ? options.wait : 0);
  const request = {
    ref: refOf(key, options),
    operation: options.operation,
    fingerprint: fingerprintOf(options),
    attemptId,
    lease: options.lease === undefined ? undefined : toDuration(options.lease),
    wait: toDuration(options.wait),
    parent: parentOf(options),
    labels: options.label,
    resultRetention: options.resultRetention,
    onLapse: { rerun: OnLapse.RERUN, park: OnLapse.PARK, none: OnLapse.UNSPECIFIED }[
      options.onLapse ?? 'none'
    ],
  };
  await withCoordinator(io, options, async ({ coordinator }) => {
    const response = await coordinator.begin(request, { deadlineMs });
    if (response.outcome) io.exitCode = exitCodeOfOutcome(response.outcome.$case);
    // The attempt id goes along: whoever sends this begin again needs it.
    if (options.json) printJson(io, { ...(BeginResponse.toJSON(response) as object), attemptId });
    else printOutcome(io, response, attemptId, finishLine(key, options, command));
  });
}

function fingerprintOf(options: BeginOptions): Fingerprint | undefined {
  const { fingerprint, fingerprintOf: text, fingerprintVersion: version } = options;
  if (fingerprint && text !== undefined)
    throw usageError('--fingerprint and --fingerprint-of exclude each other');
  const digest = fingerprint ?? (text === undefined ? undefined : createHash('sha256').update(text).digest());
  return digest && { version, digest };
}

function parentOf({ parent, parentScope, scope }: BeginOptions): KeyRef | undefined {
  if (parent === undefined) {
    if (parentScope !== undefined) throw usageError('--parent-scope goes with --parent');
    return undefined;
  }
  const at = parent.indexOf('/');
  if (at < 1) throw usageError('--parent must be namespace/key');
  return { namespace: parent.slice(0, at), scope: parentScope ?? scope, key: parent.slice(at + 1) };
}

function printOutcome(
  io: Io,
  { outcome }: BeginResponse,
  attemptId: string,
  finish: (token: bigint) => string,
): void {
  switch (outcome?.$case) {
    case 'execute':
      printExecute(io, outcome.value, attemptId, finish);
      return;
    case 'replay': {
      const { result, attempts, finishTime, expireTime, traceparent } = outcome.value;
      io.stdout.write(`replay  do not run it: give this result back\n`);
      printPairs(io, [
        ...resultPairs(io, result),
        ['finished', `${instant(finishTime)}, attempts: ${attempts}`],
        ['kept until', instant(expireTime, 'forever')],
        ['trace', traceparent || undefined],
      ]);
      return;
    }
    case 'inProgress': {
      const { attempt, leaseLeft, retryAfter } = outcome.value;
      io.stdout.write(
        `in progress  attempt ${attempt} holds the lease for another ${formatDuration(leaseLeft)}; ` +
          `ask again in ${formatDuration(retryAfter)}, or stay with --wait\n`,
      );
      return;
    }
    case 'indeterminate':
      io.stdout.write(
        `indeterminate  the outcome of attempt ${outcome.value.attempt} is unknown; ` +
          `do not run it, decide it with "onceward resolve"\n`,
      );
      return;
    case 'resultExpired':
      io.stdout.write(
        `result expired  done at ${instant(outcome.value.finishTime)}, its result is gone; do not run it ` +
          `(remembered until ${instant(outcome.value.expireTime, 'forever')})\n`,
      );
      return;
    case undefined:
      throw new Error('the coordinator answered with an outcome this version does not know');
  }
}

function printExecute(io: Io, execute: Execute, attemptId: string, finish: (token: bigint) => string): void {
  const { attempt, fencingToken, lease, takeover, checkpoint, waited } = execute;
  io.stdout.write(
    `execute  attempt ${attempt}, fencing token ${fencingToken}, lease ${formatDuration(lease)}\n`,
  );
  printPairs(io, [
    ['attempt id', attemptId],
    ['waited', waited && formatDuration(waited)],
    ['takeover', takeover ? "an earlier attempt's lease lapsed: its effect may have happened" : undefined],
    ['checkpoint', checkpoint && bytesText(io, checkpoint)],
  ]);
  io.stdout.write(`\nRun it, then:\n  ${finish(fencingToken)}\n`);
}
