/**
 * The inside of a load generator, a process of its own: told over IPC what load to make and for how long, it answers what it
 * measured. One for each contestant, all with the same keys, mixes and clocks.
 */
import { randomFillSync } from 'node:crypto';
import * as hdr from 'hdr-histogram-js';
import { mintKey } from '../../src/client/mint-key.js';

/**
 * Does the work of one key once: executes it, with a durable check before and its result stored after, or replays it. It may say
 * when the check was answered.
 */
export type Contestant = (key: string, onChecked: () => void) => Promise<'executed' | 'replayed'>;

export interface LoadOrder {
  readonly inFlight: number;
  readonly durationMs: number;
  /** Of the keys: all new, every other one finished before, or all finished before. Default `unique`. */
  readonly mix?: 'unique' | 'half' | 'replays';
  /** Default `random`. */
  readonly keys?: 'random' | 'time-ordered';
  /** Operations a second, begun on time whatever is still under way; default: as many as `inFlight` allows. */
  readonly rate?: number;
}

export interface LoadReport {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the checks alone, where the contestant tells. */
  readonly checkP50Ms: number;
  readonly checkP99Ms: number;
  /** CPU of this process, ms. */
  readonly cpuMs: number;
}

/** How many finished keys are drawn from for duplicates. */
const finishedMax = 10_000;

/** Takes orders until the bench ends, in whatever way. */
export function takeOrders(contestant: Contestant): void {
  const finished: string[] = [];
  process.on('message', (order: LoadOrder) => {
    run(contestant, finished, order).then(
      (report) => process.send?.(report),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit());
}

async function run(contestant: Contestant, finished: string[], order: LoadOrder): Promise<LoadReport> {
  const { inFlight, durationMs, mix = 'unique', keys = 'random', rate } = order;
  const newKey = keys === 'random' ? randomKey : mintKey;
  if (mix !== 'unique') await filled(contestant, finished, inFlight, newKey);
  const histogram = newHistogram();
  const checks = newHistogram();
  const since = (sentTime: number) => Math.round((performance.now() - sentTime) * 1000);
  let turn = 0;
  // One function, as what it costs is added to what every contestant costs.
  const timed = async (sentTime: number) => {
    turn += 1;
    const again = mix === 'replays' || (mix === 'half' && turn % 2 === 0);
    const key = again ? (finished[Math.floor(Math.random() * finished.length)] ?? '') : newKey();
    const answer = await contestant(key, () => checks.recordValue(since(sentTime)));
    if ((answer === 'replayed') !== again)
      throw new Error(`${again ? 'finished' : 'new'} and ${answer}: ${key}`);
    histogram.recordValue(since(sentTime));
    // A key that is kept for nothing would be garbage of ours among what a contestant leaves.
    if (!again && (mix === 'half' || finished.length < finishedMax)) remember(finished, key);
  };
  const cpu = process.cpuUsage();
  const startTime = performance.now();
  if (rate === undefined) await closedLoop(inFlight, startTime + durationMs, timed);
  else await openLoop(rate, startTime, durationMs, timed);
  const elapsedMs = performance.now() - startTime;
  const { user, system } = process.cpuUsage(cpu);
  return {
    operations: histogram.totalCount,
    perSecond: (histogram.totalCount / elapsedMs) * 1000,
    p50Ms: histogram.getValueAtPercentile(50) / 1000,
    p99Ms: histogram.getValueAtPercentile(99) / 1000,
    checkP50Ms: checks.getValueAtPercentile(50) / 1000,
    checkP99Ms: checks.getValueAtPercentile(99) / 1000,
    cpuMs: (user + system) / 1000,
  };
}

function newHistogram(): hdr.Histogram {
  return hdr.build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
}

function remember(finished: string[], key: string): void {
  finished[finished.length < finishedMax ? finished.length : Math.floor(Math.random() * finishedMax)] = key;
}

/** Finishes keys until there are enough to draw from. */
async function filled(
  contestant: Contestant,
  finished: string[],
  inFlight: number,
  newKey: () => string,
): Promise<void> {
  const worker = async () => {
    while (finished.length < finishedMax) {
      const key = newKey();
      await contestant(key, () => undefined);
      remember(finished, key);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

async function closedLoop(
  inFlight: number,
  endTime: number,
  timed: (sentTime: number) => Promise<void>,
): Promise<void> {
  const worker = async () => {
    for (let now = performance.now(); now < endTime; now = performance.now()) await timed(now);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** Latency counts from when an operation was to begin: a contestant that stalls is not spared what came meanwhile. */
async function openLoop(
  rate: number,
  startTime: number,
  durationMs: number,
  timed: (sentTime: number) => Promise<void>,
): Promise<void> {
  const count = Math.floor((rate * durationMs) / 1000);
  // Counted, as a Set that is filled and emptied all the time costs the process pauses that are not the contestant's.
  let ended = 0;
  const end = () => {
    ended += 1;
  };
  for (let begun = 0; ended < count;) {
    const due = Math.min(count, ((performance.now() - startTime) * rate) / 1000);
    for (; begun < due; begun += 1) void timed(startTime + (begun * 1000) / rate).then(end);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Drawn at once for many keys: what a contestant is measured by should not be the making of keys. */
const drawn = Buffer.alloc(8192);
let used = drawn.length;

/** 63 random bits in decimal, like the keys pgbench draws. */
function randomKey(): string {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const bits = drawn.readBigUInt64BE(used) >> 1n;
  used += 8;
  return String(bits);
}
