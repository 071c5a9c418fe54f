import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { CallError } from '../client/call-error.js';
import type { Calls } from '../client/calls.js';
import type { BeginResponse } from '../gen/onceward/v1/coordinator.js';
import { Result } from '../gen/onceward/v1/record.js';
import { benchKeys } from './bench-keys.js';
import type { BenchPlan } from './bench-plan.js';
import type { BenchTally } from './bench-tally.js';

/** Keys finished before the measuring, for duplicates to draw from. */
const firstFinished = 1000;
/** How long the end of a load with a rate may go unnoticed, ms. */
const lookMs = 50;

/**
 * Makes the load until its time is over or `stop` is aborted, and lets what is under way end. What was measured so far is in the tally
 * at any time. Throws only when the coordinator refuses before the measuring.
 */
export async function runBench(
  calls: Calls,
  plan: BenchPlan,
  tally: BenchTally,
  stop: AbortSignal,
): Promise<void> {
  const keys = benchKeys(plan);
  const { begin, complete } = operationCalls(calls, plan);
  const finish = async (key: string) => {
    const { outcome } = await begin(key);
    if (outcome?.$case === 'execute') await complete(key, outcome.value.fencingToken);
    keys.finished(key);
  };
  // One at least: connecting is not what is measured.
  let toFinish = plan.duplicates > 0 ? firstFinished : 1;
  await atOnce(plan.inFlight, async () => {
    while (toFinish > 0 && !stop.aborted) {
      toFinish -= 1;
      await finish(keys.fresh());
    }
  });

  /** One operation, its latencies from `dueTime`. */
  const operation = async (dueTime: number) => {
    const key = keys.next();
    try {
      const { outcome } = await begin(key);
      tally.checkMs.record(performance.now() - dueTime);
      if (outcome?.$case === 'execute') {
        await complete(key, outcome.value.fencingToken);
        tally.cycleMs.record(performance.now() - dueTime);
        keys.finished(key);
      }
      tally.count(outcome?.$case);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      tally.countError(error.reason);
    }
  };
  tally.start();
  const { rate, inFlight } = plan;
  const endTime = performance.now() + plan.durationMs;
  if (rate === undefined) {
    await atOnce(inFlight, async () => {
      while (performance.now() < endTime && !stop.aborted) await operation(performance.now());
    });
  } else {
    tally.notBegun = await onTime(rate, inFlight, endTime, stop, operation);
  }
}

type OutcomeCalls = {
  readonly begin: (key: string) => Promise<BeginResponse>;
  readonly complete: (key: string, fencingToken: bigint) => Promise<unknown>;
};

function operationCalls(calls: Calls, plan: BenchPlan): OutcomeCalls {
  const { namespace, deadlineMs, retention: resultRetention } = plan;
  // Random, as text that compresses well would spare the database its work.
  const payload = randomBytes(plan.payloadBytes);
  const result = Result.fromPartial({ payload, contentType: 'application/octet-stream' });
  const refOf = (key: string) => ({ namespace, scope: '', key });
  return {
    begin: (key) => {
      const request = { ref: refOf(key), operation: 'onceward-bench', attemptId: randomUUID() };
      return calls.begin({ ...request, resultRetention }, { deadlineMs });
    },
    complete: (key, fencingToken) =>
      calls.complete({ ref: refOf(key), fencingToken, result }, { deadlineMs }),
  };
}

async function atOnce(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}

/**
 * Begins each operation when it is due, whatever is under way, up to `inFlight`. Gives back how many were due and never begun. Timers
 * are up to a millisecond late, and latencies with them: waiting more exactly would take a core of its own.
 */
async function onTime(
  rate: number,
  inFlight: number,
  endTime: number,
  stop: AbortSignal,
  operation: (dueTime: number) => Promise<void>,
): Promise<number> {
  const startTime = performance.now();
  const intervalMs = 1000 / rate;
  const underWay = new Set<Promise<void>>();
  for (let begun = 0; ;) {
    const now = Math.min(performance.now(), endTime);
    const due = Math.ceil((now - startTime) / intervalMs);
    for (; begun < due && underWay.size < inFlight; begun += 1) {
      const one: Promise<void> = operation(startTime + begun * intervalMs).finally(() =>
        underWay.delete(one),
      );
      underWay.add(one);
    }
    if (now === endTime || stop.aborted) {
      await Promise.all(underWay);
      return due - begun;
    }
    const nextMs = startTime + begun * intervalMs - performance.now();
    await pause(Math.min(lookMs, Math.max(1, nextMs)));
  }
}
