import type { Instruments } from '../telemetry/instruments.js';
import { attributeNames } from '../telemetry/names.js';
import type { BeginOutcome, InProgressOutcome } from './begin-outcome.js';
import { claim, claimFromCache } from './claim.js';
import type { CallContext, Parts } from './parts.js';
import { questionOf, validate, type BeginRequest, type Question } from './question.js';

/**
 * A waiter answers so long before its call's deadline that the answer still arrives: a tenth of the time there is, within
 * bounds in ms. A busy machine is late by more than a few milliseconds, and a long wait is none the worse for it.
 */
const deadlineMargin = { share: 0.1, least: 30, most: 500 };

export async function begin(parts: Parts, request: BeginRequest, call: CallContext): Promise<BeginOutcome> {
  const receiveTime = performance.now();
  const ref = validate(request);
  const { policy } = parts.namespaces.known(ref.namespace) ?? (await parts.namespaces.get(ref.namespace));
  const question = questionOf(request, ref, policy);
  const stay: Stay = { receiveTime, waits: false, waitingMs: 0 };
  let ended: BeginOutcome['kind'] | 'left' | 'refused' = 'refused';
  try {
    let outcome = claimFromCache(parts, question) ?? (await claim(parts, question));
    if (outcome.kind === 'in_progress') outcome = await waited(parts, question, outcome, call, stay);
    parts.counters.add(`begin.${outcome.kind}`, ref.namespace);
    if (question.found.incomparable) parts.counters.add('begin.fingerprint_incomparable', ref.namespace);
    ended = stay.waits && call.signal.aborted ? 'left' : outcome.kind;
    return outcome;
  } finally {
    measure(parts.instruments, stay, ended);
  }
}

/** What a Begin spends its time with; times on `performance.now()`. */
interface Stay {
  readonly receiveTime: number;
  waits: boolean;
  /** For someone else's attempt, without the looks at the store in between. */
  waitingMs: number;
}

/** Stays until someone else's attempt ends, if the caller wants to. */
async function waited(
  parts: Parts,
  question: Question,
  first: InProgressOutcome,
  call: CallContext,
  stay: Stay,
): Promise<BeginOutcome> {
  const { ref, request } = question;
  const { receiveTime } = stay;
  const untilTime = Math.min(receiveTime + request.waitMs, answerTime(receiveTime, call.deadlineTime));
  let askedTime = performance.now();
  if (untilTime <= askedTime) return first;
  stay.waits = true;
  parts.counters.add('begin.waited', ref.namespace);
  for (let outcome = first; ;) {
    const { fencingToken, leaseLeftMs } = outcome;
    const { signal } = call;
    const ended = await parts.waiters.wait({ ref, fencingToken, leaseLeftMs, untilTime, signal });
    const endedTime = performance.now();
    stay.waitingMs += endedTime - askedTime;
    if (ended === 'over') {
      return { ...outcome, leaseLeftMs: Math.max(0, leaseLeftMs - (endedTime - askedTime)) };
    }
    const next = claimFromCache(parts, question) ?? (await claim(parts, question));
    // The claim is made after the wait, so a lease counted from the sending plus this ends before the store's.
    if (next.kind === 'execute') return { ...next, waitedMs: endedTime - receiveTime };
    if (next.kind !== 'in_progress') return next;
    outcome = next;
    askedTime = performance.now();
  }
}

function measure(instruments: Instruments, { receiveTime, waits, waitingMs }: Stay, ended: string): void {
  const attributes = () => ({ [attributeNames.outcome]: ended });
  const checkMs = performance.now() - receiveTime - waitingMs;
  instruments.beginCheckDuration.record(checkMs / 1000, ended, attributes);
  if (waits) instruments.beginWaitDuration.record(waitingMs / 1000, attributes());
}

function answerTime(receiveTime: number, deadlineTime: number): number {
  const { share, least, most } = deadlineMargin;
  return deadlineTime - Math.min(Math.max(share * (deadlineTime - receiveTime), least), most);
}
