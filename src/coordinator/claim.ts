import { decideBegin, type BeginDecision, type BeginQuestion, type Claim } from '../core/decide.js';
import { OncewardError } from '../core/errors.js';
import { compareFingerprints } from '../core/fingerprint.js';
import type { Granted, GrantTerms } from '../core/key-store.js';
import type { FinishedRecord, InProgressRecord, KeyRecord, Seen } from '../core/record.js';
import type { Parts } from './parts.js';

export type BeginOutcome =
  | {
      readonly kind: 'execute';
      readonly fencingToken: bigint;
      readonly attempt: number;
      readonly leaseMs: number;
      readonly checkpoint: Uint8Array | undefined;
      readonly takeover: boolean;
    }
  | { readonly kind: 'replay'; readonly record: FinishedRecord }
  | {
      readonly kind: 'in_progress';
      readonly fencingToken: bigint;
      readonly attempt: number;
      readonly leaseLeftMs: number;
      readonly retryAfterMs: number;
    }
  | { readonly kind: 'indeterminate'; readonly attempt: number }
  | { readonly kind: 'result_expired'; readonly record: FinishedRecord };

/** How often a record may change under one Begin before it gives up, and the caller tries again. */
const maxTries = 8;

/** A Begin that passed validation, with the lease terms its namespace allows. */
export interface Question extends BeginQuestion {
  readonly identity: string;
  readonly terms: GrantTerms;
}

/** Claims a key or tells what is there, without waiting: from the cache, a flight under way, or the store. */
export async function claim(parts: Parts, question: Question): Promise<BeginOutcome> {
  const cached = fromCache(parts, question);
  if (cached !== undefined) return cached;
  for (;;) {
    const joined = parts.flights.join(question.identity);
    if (joined === undefined) {
      const landed = await parts.flights.fly(question.identity, () => askStore(parts, question));
      return landed.outcome();
    }
    const seen = await joined;
    const decision = seen && decideBegin(seen.record, question, seen.nowTime);
    // A claim needs a flight of its own, and so does a repeated grant: what is left of its lease must have been read
    // after this request was sent.
    const answers = decision !== undefined && decision.kind !== 'claim' && decision.kind !== 'same-grant';
    if (answers) return outcomeOf(parts, question, decision);
  }
}

function fromCache(parts: Parts, question: Question): BeginOutcome | undefined {
  if (!parts.sync.isFresh()) return undefined;
  const record = parts.cache.get(question.identity);
  const nowTime = parts.sync.databaseTime();
  if (record === undefined || record.resultExpireTime <= nowTime) return undefined;
  const decision = decideBegin(record, question, nowTime);
  if (decision.kind === 'claim') return undefined;
  if (decision.kind === 'replay') parts.counters.add('begin.replay.cached', question.terms.ref.namespace);
  return outcomeOf(parts, question, decision);
}

/** What a flight brought: what others may decide on, and this Begin's own outcome, which may be a refusal. */
interface Landed {
  readonly seen: Seen | undefined;
  readonly outcome: () => BeginOutcome;
}

async function askStore(parts: Parts, question: Question): Promise<Landed> {
  const { store, cache } = parts;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const { generation } = cache;
    const answer = await store.claimNew(termsOf(question, 1));
    if (answer.kind === 'absent') {
      // A record that vanished since the claim leaves the key free, unless the key itself is too old to be new.
      if (question.terms.tooOldTime <= parts.sync.databaseTime()) return refused(undefined, keyTooOld());
      continue;
    }
    if (answer.kind === 'granted') {
      return granted(parts, question, answer, undefined);
    }
    const decision = decideBegin(answer.record, question, answer.nowTime);
    if (decision.kind !== 'claim') {
      if (decision.kind === 'replay') cache.put(decision.record, generation);
      countFingerprint(parts, answer.record, question);
      return { seen: answer, outcome: () => outcomeOf(parts, question, decision) };
    }
    const landed = await claimKnown(parts, question, answer.record, decision.claim);
    if (landed !== undefined) return landed;
  }
  const text = 'the record changed under this call again and again; send the same call again';
  return refused(undefined, new OncewardError('STORE_UNAVAILABLE', text, { retryAfterMs: 50 }));
}

async function claimKnown(
  parts: Parts,
  question: Question,
  record: KeyRecord,
  how: Claim,
): Promise<Landed | undefined> {
  if (how === 'renew' && question.terms.tooOldTime <= parts.sync.databaseTime())
    return refused(undefined, keyTooOld());
  const countedAttempt = how === 'renew' ? 1 : record.attempt - record.attemptsForgiven + 1;
  const terms = termsOf(question, countedAttempt);
  const answer = await parts.store.claimKnown({ ...terms, claim: how, seen: record });
  if (answer === undefined) return undefined;
  if (how === 'park') {
    parts.counters.add('begin.indeterminate.parked', record.ref.namespace);
    return { seen: undefined, outcome: () => ({ kind: 'indeterminate', attempt: answer.attempt }) };
  }
  return granted(parts, question, answer, how === 'take-over' ? record : undefined);
}

/** Lands with a grant; `earlier` is the record as the last attempt left it, if this is not a key's first. */
function granted(parts: Parts, question: Question, grant: Granted, earlier: KeyRecord | undefined): Landed {
  const { ref, attemptId, onLapse, leaseMs, parent, labels, traceparent } = question.terms;
  const takeover = earlier?.state === 'IN_PROGRESS';
  if (takeover) parts.counters.add('begin.execute.takeover', ref.namespace);
  const checkpoint = earlier !== undefined && 'checkpoint' in earlier ? earlier.checkpoint : undefined;
  const { operation, fingerprint } = earlier ?? question;
  const record: InProgressRecord = {
    ref,
    state: 'IN_PROGRESS',
    attemptId,
    onLapse,
    parent,
    labels,
    traceparent,
    operation,
    fingerprint,
    attempt: grant.attempt,
    attemptsForgiven: earlier?.attemptsForgiven ?? 0,
    fencingToken: grant.fencingToken,
    createTime: earlier?.createTime ?? grant.grantTime,
    leaseExpireTime: grant.grantTime + leaseMs,
    recordExpireTime: Infinity,
    lastError: earlier?.lastError,
    takeover,
    checkpoint,
  };
  const outcome = executeOf(record, leaseMs);
  return { seen: { record, nowTime: grant.grantTime }, outcome: () => outcome };
}

/** The last allowed attempt parks when it lapses: there is nobody to take over. */
function termsOf({ terms, maxAttempts }: Question, countedAttempt: number): GrantTerms {
  return maxAttempts !== undefined && countedAttempt >= maxAttempts ? { ...terms, onLapse: 'PARK' } : terms;
}

function executeOf(record: InProgressRecord, leaseMs: number): BeginOutcome {
  const { fencingToken, attempt, checkpoint, takeover } = record;
  return { kind: 'execute', fencingToken, attempt, leaseMs, checkpoint, takeover };
}

function outcomeOf(
  parts: Parts,
  { terms }: Question,
  decision: Exclude<BeginDecision, { kind: 'claim' }>,
): BeginOutcome {
  const { namespace } = terms.ref;
  switch (decision.kind) {
    case 'same-grant': {
      parts.counters.add('begin.execute.repeated', namespace);
      return executeOf(decision.record, decision.leaseLeftMs);
    }
    case 'in_progress': {
      const { record, leaseLeftMs } = decision;
      const retryAfterMs = Math.min(Math.max(leaseLeftMs, 20), 1000);
      return {
        kind: 'in_progress',
        fencingToken: record.fencingToken,
        attempt: record.attempt,
        leaseLeftMs,
        retryAfterMs,
      };
    }
    case 'indeterminate':
      return { kind: 'indeterminate', attempt: decision.record.attempt };
    case 'replay':
    case 'result_expired':
      return decision;
    case 'refuse':
      if (decision.error.reason === 'KEY_MISMATCH') parts.counters.add('begin.mismatch', namespace);
      throw decision.error;
  }
}

function refused(seen: Seen | undefined, error: OncewardError): Landed {
  return {
    seen,
    outcome: () => {
      throw error;
    },
  };
}

function keyTooOld(): OncewardError {
  return new OncewardError(
    'KEY_TOO_OLD',
    'the key is older than everything retention remembers: it may have been executed before',
  );
}

function countFingerprint(parts: Parts, record: KeyRecord, { fingerprint }: Question): void {
  const bothGiven = record.fingerprint !== undefined && fingerprint !== undefined;
  if (bothGiven && compareFingerprints(record.fingerprint, fingerprint) === 'incomparable') {
    parts.counters.add('begin.fingerprint_incomparable', record.ref.namespace);
  }
}
