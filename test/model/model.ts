import type { Call, Event, NamespaceName, TokenChoice } from './action.js';

/**
 * The protocol as one thread of a single process would live it: a plain restatement of its prose, sharing nothing with
 * `src/core`. Time is two flags, since nothing here waits. Answers are short texts, so that a failing sequence reads well;
 * a token is checked beside the text, because no model can foresee a number.
 */
export interface Expected {
  readonly text: string;
  /** `grown`: larger than all this key ever showed. `held`: the record's, as far as it was seen before. */
  readonly token?: 'grown' | 'held';
}

export interface Policy {
  readonly onLapse: 'RERUN' | 'PARK';
  readonly maxAttempts: number | undefined;
}

export const policies: Readonly<Record<NamespaceName, Policy>> = {
  rerun: { onLapse: 'RERUN', maxAttempts: undefined },
  park: { onLapse: 'PARK', maxAttempts: undefined },
  spent: { onLapse: 'RERUN', maxAttempts: 2 },
  tombstone: { onLapse: 'RERUN', maxAttempts: undefined },
};

interface ModelRecord {
  state: 'IN_PROGRESS' | 'RELEASED' | 'INDETERMINATE' | 'COMPLETED' | 'FAILED';
  operation: string;
  print: string | undefined;
  attempt: number;
  /** Attempts an operator has forgiven. */
  forgiven: number;
  attemptId: string | undefined;
  /** Undefined as long as nobody has seen it. */
  token: bigint | undefined;
  /** Parked or resolved: the token is nobody's grant. */
  superseded: boolean;
  onLapse: 'RERUN' | 'PARK';
  lapsed: boolean;
  takeover: boolean;
  checkpoint: string | undefined;
  sequence: number;
  result: string | undefined;
  resultExpired: boolean;
  recordExpired: boolean;
  lastError: string | undefined;
}

export class Model {
  readonly #records = new Map<NamespaceName, ModelRecord>();
  /** Every token granted for a key, also in earlier lives. */
  readonly #granted = new Map<NamespaceName, bigint[]>();
  /** The greatest token a key ever showed. */
  readonly #greatest = new Map<NamespaceName, bigint>();

  /** The number a caller would send. */
  tokenOf(namespace: NamespaceName, choice: TokenChoice): bigint {
    if (choice === 'future') return (this.#greatest.get(namespace) ?? 0n) + 1_000_000_000n;
    return this.#granted.get(namespace)?.at(choice === 'current' ? -1 : -2) ?? 1n;
  }

  /** Checks a token that came with an answer, and remembers it. */
  learn(namespace: NamespaceName, rule: 'grown' | 'held', token: bigint | undefined): void {
    const record = this.#records.get(namespace);
    if (token === undefined || record === undefined) throw new Error('the answer has no token');
    if (rule === 'held' && record.token !== undefined) {
      if (token !== record.token) throw new Error(`token ${token} is not ${record.token}, which was granted`);
      return;
    }
    const greatest = this.#greatest.get(namespace) ?? 0n;
    if (token <= greatest) throw new Error(`token ${token} is not above ${greatest}`);
    record.token = token;
    this.#greatest.set(namespace, token);
    if (!record.superseded) this.#granted.set(namespace, [...(this.#granted.get(namespace) ?? []), token]);
  }

  /** What the call must answer; changes the model as the call changes the record. */
  apply(call: Call): Expected {
    switch (call.verb) {
      case 'begin':
        return this.#begin(call);
      case 'complete':
        return this.#finish(call, call.token, 'COMPLETED', `OK ${call.payload}`);
      case 'failFinal':
        return this.#finish(call, call.token, 'FAILED', `ERROR ${call.message}`);
      case 'failRetryable':
        return this.#finish(call, call.token, 'RELEASED', call.message);
      case 'heartbeat':
        return this.#heartbeat(call);
      case 'lookup':
        return this.#lookup(call.namespace);
      case 'forget':
        return this.#forget(call);
      case 'resolve':
        return this.#resolve(call);
    }
  }

  happen({ namespace, verb }: Event): void {
    const record = this.#records.get(namespace);
    if (record === undefined || record.recordExpired) return;
    const finished = record.state === 'COMPLETED' || record.state === 'FAILED';
    if (verb === 'lapse' && record.state === 'IN_PROGRESS') record.lapsed = true;
    if (verb === 'expireResult' && finished) record.resultExpired = true;
    // Neither a parked record nor one that will park is ever forgotten.
    const kept =
      record.state === 'INDETERMINATE' || (record.state === 'IN_PROGRESS' && record.onLapse === 'PARK');
    if (verb === 'expireRecord' && !kept) record.recordExpired = true;
    // 'sweep' changes nothing: cleanup is invisible.
  }

  /** Whether the key has a finished record: what replay caches may hold. */
  isFinished(namespace: NamespaceName): boolean {
    const state = this.#records.get(namespace)?.state;
    return state === 'COMPLETED' || state === 'FAILED';
  }

  #living(namespace: NamespaceName): ModelRecord | undefined {
    const record = this.#records.get(namespace);
    return record === undefined || record.recordExpired ? undefined : record;
  }

  #begin(call: Call & { verb: 'begin' }): Expected {
    const record = this.#living(call.namespace);
    const { maxAttempts } = policies[call.namespace];
    if (record === undefined) return call.old ? error('KEY_TOO_OLD') : this.#grant(call, undefined);
    if (record.operation !== call.operation || printsDiffer(record.print, call.print))
      return error('KEY_MISMATCH');
    const spent = maxAttempts !== undefined && record.attempt - record.forgiven >= maxAttempts;
    switch (record.state) {
      case 'IN_PROGRESS':
        if (!record.lapsed) {
          return record.attemptId === call.attempt
            ? executed(record, 'left')
            : { text: `in_progress attempt=${record.attempt}` };
        }
        if (record.onLapse === 'PARK' || spent) return park(record);
        return this.#grant(call, record);
      case 'RELEASED':
        // A copy of the Begin whose attempt is over.
        if (record.attemptId === call.attempt) return error('LEASE_LOST');
        return spent ? park(record) : this.#grant(call, record);
      case 'INDETERMINATE':
        return { text: `indeterminate attempt=${record.attempt}` };
      case 'COMPLETED':
      case 'FAILED':
        if (record.resultExpired) return { text: 'result_expired' };
        return { text: `replay ${record.result ?? ''} attempts=${record.attempt}` };
    }
  }

  #grant(call: Call & { verb: 'begin' }, earlier: ModelRecord | undefined): Expected {
    const { onLapse, maxAttempts } = policies[call.namespace];
    const attempt = (earlier?.attempt ?? 0) + 1;
    const forgiven = earlier?.forgiven ?? 0;
    const last = maxAttempts !== undefined && attempt - forgiven >= maxAttempts;
    const asked = call.onLapse === 'policy' ? onLapse : call.onLapse;
    const record: ModelRecord = {
      state: 'IN_PROGRESS',
      operation: earlier?.operation ?? call.operation,
      print: earlier === undefined ? call.print : earlier.print,
      attempt,
      forgiven,
      attemptId: call.attempt,
      token: undefined,
      superseded: false,
      onLapse: last ? 'PARK' : asked,
      lapsed: false,
      takeover: earlier?.state === 'IN_PROGRESS' || (earlier?.state === 'RELEASED' && earlier.takeover),
      checkpoint: earlier?.checkpoint,
      sequence: 0,
      result: undefined,
      resultExpired: false,
      recordExpired: false,
      lastError: earlier?.lastError,
    };
    this.#records.set(call.namespace, record);
    return { ...executed(record, 'whole'), token: 'grown' };
  }

  #finish(call: Call, token: bigint, state: 'COMPLETED' | 'FAILED' | 'RELEASED', text: string): Expected {
    const record = this.#living(call.namespace);
    if (record === undefined) return error('RECORD_NOT_FOUND');
    if (record.superseded || record.token !== token) return error('LEASE_LOST');
    const answer = { text: `${state} already=false` };
    switch (record.state) {
      case 'IN_PROGRESS':
        record.state = state;
        if (state === 'RELEASED') record.lastError = text;
        else record.result = text;
        return answer;
      case 'RELEASED':
        return state === 'RELEASED' ? { text: `${state} already=true` } : error('LEASE_LOST');
      case 'INDETERMINATE':
        return error('LEASE_LOST');
      case 'COMPLETED':
      case 'FAILED':
        if (record.state === state && record.result === text) return { text: `${state} already=true` };
        return error('RESULT_CONFLICT');
    }
  }

  #heartbeat(call: Call & { verb: 'heartbeat' }): Expected {
    const record = this.#living(call.namespace);
    if (record === undefined) return error('RECORD_NOT_FOUND');
    if (record.superseded || record.token !== call.token || record.state !== 'IN_PROGRESS')
      return error('LEASE_LOST');
    record.lapsed = false;
    if (call.checkpoint !== undefined && call.sequence >= record.sequence) {
      record.checkpoint = call.checkpoint;
      record.sequence = call.sequence;
    }
    return { text: 'extended' };
  }

  #lookup(namespace: NamespaceName): Expected {
    const record = this.#living(namespace);
    if (record === undefined) return error('RECORD_NOT_FOUND');
    const parks = record.state === 'IN_PROGRESS' && record.lapsed && record.onLapse === 'PARK';
    const state = parks ? 'INDETERMINATE' : record.state;
    const lease = state === 'IN_PROGRESS' ? (record.lapsed ? 'lapsed' : 'left') : 'none';
    const result = record.result === undefined || record.resultExpired ? 'none' : record.result;
    const { operation, attempt, lastError = 'none' } = record;
    return {
      text: `${state} ${operation} attempt=${attempt} lease=${lease} result=${result} last=${lastError}`,
      token: 'held',
    };
  }

  #forget(call: Call & { verb: 'forget' }): Expected {
    const record = this.#living(call.namespace);
    if (record === undefined) return { text: 'forgotten already=true' };
    if (record.state === 'IN_PROGRESS' && !record.lapsed && !call.evenIfLeased)
      return error('STATE_CONFLICT');
    this.#records.delete(call.namespace);
    return { text: 'forgotten already=false' };
  }

  #resolve(call: Call & { verb: 'resolve' }): Expected {
    const record = this.#living(call.namespace);
    if (record === undefined) return error('RECORD_NOT_FOUND');
    const { decision, text } = call;
    const state = { complete: 'COMPLETED', fail: 'FAILED', release: 'RELEASED' } as const;
    const result = decision === 'release' ? undefined : `${decision === 'fail' ? 'ERROR' : 'OK'} ${text}`;
    const open =
      record.state === 'INDETERMINATE' ||
      (record.state === 'IN_PROGRESS' && record.lapsed && record.onLapse === 'PARK');
    if (!open) {
      const byOwner = record.state === 'RELEASED' && record.attemptId !== undefined;
      if (byOwner || record.state !== state[decision] || record.result !== result)
        return error('STATE_CONFLICT');
      return { text: `${record.state} already=true` };
    }
    record.state = state[decision];
    record.result = result;
    supersede(record);
    record.attemptId = undefined;
    record.takeover = false;
    if (decision === 'release') record.forgiven = record.attempt;
    return { text: `${record.state} already=false` };
  }
}

function executed(
  { attempt, takeover, checkpoint = 'none' }: ModelRecord,
  lease: 'whole' | 'left',
): Expected {
  return {
    text: `execute attempt=${attempt} takeover=${takeover} checkpoint=${checkpoint} lease=${lease}`,
    token: 'held',
  };
}

function park(record: ModelRecord): Expected {
  record.state = 'INDETERMINATE';
  supersede(record);
  return { text: `indeterminate attempt=${record.attempt}` };
}

function supersede(record: ModelRecord): void {
  record.superseded = true;
  record.token = undefined;
}

/** Digests are compared only when both are there and of one version. */
function printsDiffer(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const [versionA] = a.split(':');
  const [versionB] = b.split(':');
  return versionA === versionB && a !== b;
}

function error(reason: string): Expected {
  return { text: `error ${reason}` };
}
