import { Option, type Command } from 'commander';
import { toDuration } from '../client/duration.js';
import { limits } from '../core/limits.js';
import type { Policy } from '../gen/onceward/v1/admin.js';
import type { Retention } from '../gen/onceward/v1/record.js';
import { share, usageError, wholeNumber } from './arguments.js';
import { benchBounds, benchPlan, type BenchPlan, type BenchWishes } from './bench-plan.js';
import { BenchTally } from './bench-tally.js';
import { clientCommand, namespaceOption, withCoordinator, type ClientOptions } from './client-command.js';
import { durationWithin, formatDuration, formatRetention, parseRetention } from './duration.js';
import type { Io } from './io.js';
import { printBench, printBenchJson } from './print-bench.js';

export function benchCommand(io: Io): Command {
  const { durationMs, inFlight, rate } = benchBounds;
  return clientCommand(
    'bench',
    'Measure a coordinator with operations as the SDK sends them: Begin and Complete. Its records stay until their retention is over.',
    'onceward bench --namespace bench --duration 30s --duplicates 0.5',
  )
    .addOption(namespaceOption())
    .addOption(
      new Option('--duration <duration>', 'how long to measure')
        .argParser(durationWithin(durationMs.min, durationMs.max))
        .default(10_000, '10s'),
    )
    .option(
      '--in-flight <n>',
      `at most so many operations at once (default: ${defaultInFlight}; with --rate ${inFlight}, or fewer of large payloads)`,
      wholeNumber(1, inFlight),
    )
    .option(
      '--rate <n>',
      'operations a second, begun when they are due; latency counts from then (default: as many as get done)',
      wholeNumber(1, rate),
    )
    .addOption(
      new Option('--duplicates <share>', 'of operations, 0 to 1: on keys finished before')
        .argParser(share)
        .default(0),
    )
    .addOption(
      new Option('--payload-bytes <n>', 'of a result')
        .argParser(wholeNumber(0, limits.resultBytes))
        .default(256),
    )
    .addOption(
      new Option('--keys <order>', 'zipf: again and again of a fixed set, few of them most of the time')
        .choices(['random', 'time-ordered', 'zipf'])
        .default('random'),
    )
    .option(
      '--retention <duration>',
      'how long its records stay, or forever (default: 60s, within what the namespace allows)',
      parseRetention,
    )
    .action((options: BenchOptions) => bench(io, options));
}

interface BenchOptions extends ClientOptions {
  readonly namespace: string;
  readonly duration: number;
  readonly inFlight?: number;
  readonly rate?: number;
  readonly duplicates: number;
  readonly payloadBytes: number;
  readonly keys: BenchPlan['keys'];
  readonly retention?: Retention;
}

async function bench(io: Io, options: BenchOptions): Promise<void> {
  const { address, namespace, json = false } = options;
  let endedBy: NodeJS.Signals | undefined;
  const wishes = wishesOf(options);
  await withCoordinator(io, options, async ({ admin }) => {
    const { policy } = await admin.getNamespace({ name: namespace });
    const plan = benchPlan(wishes, policy);
    notice(io, json, announcement(plan, policy, options));
    // The SDK is not for every command to load.
    const [{ connectOnceward }, { runBench }] = await Promise.all([
      import('../client/onceward.js'),
      import('./run-bench.js'),
    ]);
    const onceward = connectOnceward({ addresses: [address], namespace });
    const tally = new BenchTally();
    const endProgress = showProgress(io, plan, tally);
    try {
      endedBy = await untilSignal(
        (stop) => runBench(onceward.calls, plan, tally, stop),
        () => {
          endProgress();
          notice(io, json, 'ending; once more to stop at once');
        },
      );
      tally.end();
      endProgress();
      if (json) printBenchJson(io, tally, endedBy !== undefined);
      else printBench(io, tally);
    } finally {
      endProgress();
      onceward.close();
    }
  });
  // As if it had not been caught: a shell loop around this stops.
  if (endedBy !== undefined) process.kill(process.pid, endedBy);
}

/** What can be told to be wrong before a coordinator is asked. */
function wishesOf(options: BenchOptions): BenchWishes {
  const { namespace, rate, duplicates, payloadBytes, keys, retention } = options;
  const { duration: durationMs, timeout: deadlineMs } = options;
  if (keys === 'zipf' && duplicates > 0)
    throw usageError('--duplicates goes with --keys random or time-ordered: zipf makes its own');
  const inFlight = options.inFlight ?? (rate === undefined ? defaultInFlight : mostInFlight(payloadBytes));
  if (inFlight * payloadBytes > benchBounds.underWayBytes) {
    const most = `at most ${benchBounds.underWayBytes}, is ${inFlight} times ${payloadBytes}`;
    throw usageError(`--in-flight times --payload-bytes must be ${most}`);
  }
  return { namespace, durationMs, inFlight, rate, duplicates, payloadBytes, keys, retention, deadlineMs };
}

const defaultInFlight = 64;

/** With a rate it only bounds memory: fewer would hold up operations that are due. */
function mostInFlight(payloadBytes: number): number {
  return Math.min(benchBounds.inFlight, Math.floor(benchBounds.underWayBytes / payloadBytes));
}

function announcement(plan: BenchPlan, policy: Policy | undefined, { address }: BenchOptions): string {
  const { namespace, durationMs, retention, retentionMs } = plan;
  const kept = retentionMs === Infinity ? 'for ever' : `for ${formatRetention(retention)}`;
  const tombstones = formatRetention(policy?.tombstoneRetention);
  return (
    `writing to namespace ${namespace} of ${address} for ${formatDuration(toDuration(durationMs))}; ` +
    `its records are not removed afterwards, they stay ${kept}` +
    (tombstones === '0s' ? '' : ` and as tombstones for ${tombstones}`) +
    (retentionMs > longMs ? '; for less: onceward namespace put bench --result-retention 1m' : '')
  );
}

/** Retention beyond which a namespace for benches is worth its while. */
const longMs = 3_600_000;

/** Beside the answer; for scripts an object a line as well. */
function notice(io: Io, json: boolean, text: string): void {
  io.stderr.write(json ? `${JSON.stringify({ notice: text })}\n` : `${text}\n`);
}

const progressEveryMs = 500;

/** On the terminal only, over the line before. Gives back what wipes it away. */
function showProgress(io: Io, { durationMs }: BenchPlan, tally: BenchTally): () => void {
  if (!io.isTTY) return () => undefined;
  let last = { operations: 0, elapsedMs: 0 };
  const timer = setInterval(() => {
    const { operations, elapsedMs, errorCount } = tally;
    const rate = ((operations - last.operations) / (elapsedMs - last.elapsedMs)) * 1000;
    last = { operations, elapsedMs };
    const time = `${Math.floor(elapsedMs / 1000)} of ${Math.ceil(durationMs / 1000)} s`;
    const p99 = tally.checkMs.percentileMs(99)?.toFixed(1) ?? '-';
    io.stderr.write(
      `\r\x1b[K${time}  ${Math.round(rate || 0)} operations/s  check p99 ${p99} ms  errors ${errorCount}`,
    );
  }, progressEveryMs);
  let ended = false;
  return () => {
    if (!ended) io.stderr.write('\r\x1b[K');
    ended = true;
    clearInterval(timer);
  };
}

const signals = ['SIGINT', 'SIGTERM'] as const;
/** How long what is under way may still be answered after a signal, ms. */
const graceMs = 1000;

/** Runs to the end, or to shortly after a signal, which it gives back. The next signal ends the process. */
async function untilSignal(
  run: (stop: AbortSignal) => Promise<void>,
  onStop: () => void,
): Promise<NodeJS.Signals | undefined> {
  const stop = new AbortController();
  let endedBy: NodeJS.Signals | undefined;
  const listen = (on: boolean) => {
    for (const name of signals) process[on ? 'on' : 'off'](name, onSignal);
  };
  const graceOver = new Promise<void>((resolve) => {
    stop.signal.addEventListener('abort', () => setTimeout(resolve, graceMs).unref());
  });
  const onSignal = (signal: NodeJS.Signals) => {
    listen(false);
    endedBy = signal;
    onStop();
    stop.abort();
  };
  listen(true);
  try {
    const running = run(stop.signal);
    // What is given up may still fail.
    running.catch(() => undefined);
    await Promise.race([running, graceOver]);
    return endedBy;
  } finally {
    listen(false);
  }
}
