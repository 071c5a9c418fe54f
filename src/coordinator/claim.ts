import { decideBegin, findMismatch, type BeginDecision, type Claim } from '../core/decide.js';
import { OncewardError } from '../core/errors.js';
import { compareFingerprints } from '../core/fingerprint.js';
import type { Granted, GrantTerms } from '../core/key-store.js';
import type { KeyRecord, Seen } from '../core/record.js';
import type { BeginOutcome, Landed } from './begin-outcome.js';
import type { Parts } from './parts.js';
import { termsOf, type Question } from './question.js';

/** How often a record may change under one Begin before it gives up, and the caller tries again. */
const maxTries = 8;

/** What memory answers, without waiting; undefined: ask the store. */
export function claimFromCache(parts: Parts, question: Question): BeginOutcome | undefined {
  const nowTime = parts.sync.trustedTime();
  if (nowTime === undefined) return undefined;
  const replay = parts.cache.get(question.identity);
  if (replay === undefined || replay.record.resultExpireTime <= nowTime) return undefined;
  const mismatch = findMismatch(replay.record, question);
  if (mismatch !== undefined) return settled(outcomeOf(parts, question, { kind: 'refuse', error: mismatch }));
  noteFingerprint(replay.record, question);
  parts.counters.add('begin.replay.cached', question.ref.namespace);
  return replay;
}

/**
 * Claims a key or tells what is there, without waiting for its attempt. Single flight: while one Begin of a record is on its
 * way to the store, the others of this process wait for what it finds, and decide on that. Hundreds at once cost a few claims.
 */
export async function claim(parts: Parts, question: Question): Promise<BeginOutcome> {
  const { flights } = parts;
  const { identity } = question;
  // What it read may be from before this Begin came: the attempt acknowledged meanwhile, the record forgotten.
  const earlier = flights.get(identity);
  for (let joined = earlier; ; joined = flights.get(identity)) {
    if (joined === undefined) {
      const flight = fly(parts, question);
      flights.add(identity, flight);
      try {
        return settled((await flight).outcome);
      } finally {
        flights.remove(identity);
      }
    }
    const landed = await joined;
    const seen = landed.seen();
    if (seen === undefined) continue;
    const decision = decideBegin(seen.record, question, seen.nowTime);
    // A claim needs a flight of its own.
    if (decision.kind === 'claim') continue;
    // What an earlier flight granted was nobody's to end before it landed; but what is left of the lease must have been read after
    // this request was sent.
    const grants = 'kind' in landed.outcome && landed.outcome.kind === 'execute';
    const holds = joined !== earlier || (grants && decision.kind !== 'same-grant');
    if (!holds) continue;
    noteFingerprint(seen.record, question);
    return settled(outcomeOf(parts, question, decision));
  }
}

async function fly(parts: Parts, question: Question): Promise<Landed> {
  const { store, cache } = parts;
  const terms = termsOf(question, 1);
  for (let tries = 0; tries < maxTries; tries += 1) {
    const { generation } = cache;
    const answer = await store.claimNew(terms);
    if (answer.kind === 'granted') {
      cache.granted(terms, answer);
      return granted(parts, terms, answer, undefined);
    }
    if (answer.kind === 'absent') {
      // A record that vanished since the claim leaves the key free, unless the key itself is too old to be new.
      if (isTooOld(parts, terms)) return refused(keyTooOld());
      continue;
    }
    const decision = decideBegin(answer.record, question, answer.nowTime);
    // A new life has the fingerprint of its own Begin.
    if (decision.kind !== 'claim' || decision.claim !== 'renew') noteFingerprint(answer.record, question);
    if (decision.kind !== 'claim') {
      const outcome = outcomeOf(parts, question, decision);
      if ('kind' in outcome && outcome.kind === 'replay')
        cache.put(question.identity, outcome.record, generation);
      return { outcome, seen: () => answer };
    }
    const landed = await claimKnown(parts, question, answer.record, decision.claim);
    if (landed !== undefined) return landed;
  }
  const text = 'the record changed under this call again and again; send the same call again';
  return refused(new OncewardError('STORE_UNAVAILABLE', text, { retryAfterMs: 50 }));
}

async function claimKnown(
  parts: Parts,
  question: Question,
  record: KeyRecord,
  how: Claim,
): Promise<Landed | undefined> {
  const countedAttempt = how === 'renew' ? 1 : record.attempt - record.attemptsForgiven + 1;
  const terms = termsOf(question, countedAttempt);
  if (how === 'renew' && isTooOld(parts, terms)) return refused(keyTooOld());
  const answer = await parts.store.claimKnown({ ...terms, claim: how, seen: record });
  if (answer === undefined) return undefined;
  if (how === 'park') {
    parts.counters.add('begin.indeterminate.parked', record.ref.namespace);
    return { outcome: { kind: 'indeterminate', attempt: answer.attempt }, seen: nothing };
  }
  return granted(parts, terms, answer, how === 'take-over' ? record : undefined);
}

/** Lands with a grant; `earlier` is the record as the last attempt left it, if this is not a key's first. */
function granted(parts: Parts, terms: GrantTerms, grant: Granted, earlier: KeyRecord | undefined): Landed {
  const { fencingToken, attempt } = grant;
  const { leaseMs } = terms;
  const lapsed = earlier?.state === 'IN_PROGRESS';
  if (lapsed) parts.counters.add('begin.execute.takeover', terms.ref.namespace);
  // Also of an attempt before the last: who gave the lease back since did not find out.
  const takeover = lapsed || (earlier?.state === 'RELEASED' && earlier.takeover);
  const checkpoint = earlier !== undefined && 'checkpoint' in earlier ? earlier.checkpoint : undefined;
  return {
    outcome: { kind: 'execute', fencingToken, attempt, leaseMs, checkpoint, takeover, waitedMs: 0 },
    seen: () => grantedRecord(terms, grant, earlier, { takeover, checkpoint }),
  };
}

function grantedRecord(
  terms: GrantTerms,
  { fencingToken, attempt, grantTime }: Granted,
  earlier: KeyRecord | undefined,
  more: { readonly takeover: boolean; readonly checkpoint: Uint8Array | undefined },
): Seen {
  const { ref, attemptId, onLapse, parent, labels, traceparent } = terms;
  const { operation, fingerprint } = earlier ?? terms;
  const record = {
    ref,
    state: 'IN_PROGRESS',
    attemptId,
    onLapse,
    parent,
    labels,
    traceparent,
    operation,
    fingerprint,
    attempt,
    attemptsForgiven: earlier?.attemptsForgiven ?? 0,
    fencingToken,
    createTime: earlier?.createTime ?? grantTime,
    leaseExpireTime: grantTime + terms.leaseMs,
    recordExpireTime: Infinity,
    lastError: earlier?.lastError,
    ...more,
  } as const;
  return { record, nowTime: grantTime };
}

/** The outcome of a decision, counted; a refusal is one of them. */
function outcomeOf(
  parts: Parts,
  { ref }: Question,
  decision: Exclude<BeginDecision, { kind: 'claim' }>,
): BeginOutcome | OncewardError {
  switch (decision.kind) {
    case 'same-grant': {
      parts.counters.add('begin.execute.repeated', ref.namespace);
      const { fencingToken, attempt, checkpoint, takeover } = decision.record;
      const leaseMs = decision.leaseLeftMs;
      return { kind: 'execute', fencingToken, attempt, leaseMs, checkpoint, takeover, waitedMs: 0 };
    }
    case 'in_progress': {
      const { fencingToken, attempt } = decision.record;
      const { leaseLeftMs } = decision;
      const retryAfterMs = Math.min(Math.max(leaseLeftMs, 20), 1000);
      return { kind: 'in_progress', fencingToken, attempt, leaseLeftMs, retryAfterMs };
    }
    case 'indeterminate':
      return { kind: 'indeterminate', attempt: decision.record.attempt };
    case 'replay':
      return { kind: 'replay', record: decision.record, encoded: undefined, keepEncoded: undefined };
    case 'result_expired':
      return decision;
    case 'refuse':
      if (decision.error.reason === 'KEY_MISMATCH') parts.counters.add('begin.mismatch', ref.namespace);
      return decision.error;
  }
}

function settled(outcome: BeginOutcome | OncewardError): BeginOutcome {
  if (outcome instanceof OncewardError) throw outcome;
  return outcome;
}

function refused(error: OncewardError): Landed {
  return { outcome: error, seen: nothing };
}

function nothing(): undefined {
  return undefined;
}

function isTooOld(parts: Parts, { tooOldTime }: GrantTerms): boolean {
  return tooOldTime <= parts.sync.databaseTime();
}

function keyTooOld(): OncewardError {
  return new OncewardError(
    'KEY_TOO_OLD',
    'the key is older than everything retention remembers: it may have been executed before',
  );
}

function noteFingerprint(record: Pick<KeyRecord, 'fingerprint'>, { fingerprint, found }: Question): void {
  if (record.fingerprint === undefined || fingerprint === undefined) return;
  if (compareFingerprints(record.fingerprint, fingerprint) === 'incomparable') found.incomparable = true;
}
