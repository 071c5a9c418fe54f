import { completedWith, failedWith, type KeyAnswer, type KeyCall } from './key-call.js';
import { covers, exactly, later, latest, never, spanText, type Span } from './span.js';

export interface KeyPolicy {
  readonly onLapse: 'RERUN' | 'PARK';
  readonly resultRetentionMs: number;
  readonly tombstoneRetentionMs: number;
  readonly abandonedRetentionMs: number;
}

export type Phase = 'leased' | 'lapsed' | 'released' | 'parked' | 'kept' | 'expired' | 'gone';

/** A phase and when time ends it. */
interface Stage {
  readonly phase: Phase;
  end: Span;
}

/** What the caller knows of the record; only time moves it from stage to stage. */
interface Life {
  readonly stages: readonly Stage[];
  readonly operation: string;
  readonly attempt: number;
  readonly attemptId: string;
  /** Undefined when no caller was granted it. */
  readonly token: bigint | undefined;
  readonly takeover: boolean;
  readonly checkpoint: string;
  /** State and result, once finished. */
  readonly state: 'COMPLETED' | 'FAILED' | undefined;
  readonly digest: string;
  finishTime: Span;
}

interface Expected {
  readonly text: string;
  /** `grown`: larger than all this key ever had. */
  readonly token?: bigint | 'grown' | undefined;
  /** What is known after it. Default: what was known before. */
  readonly next?: (answer: KeyAnswer) => Life;
}

const absent: Life = {
  stages: [{ phase: 'gone', end: never }],
  operation: '',
  attempt: 0,
  attemptId: '',
  token: undefined,
  takeover: false,
  checkpoint: 'none',
  state: undefined,
  digest: '',
  finishTime: never,
};

/**
 * One key as its only caller sees it, call by call. It knows when things expire to within the time of a call; in that
 * instant either answer is right, and before and after only one. Sweeps are none of its business.
 */
export class KeyModel {
  readonly #policy: KeyPolicy;
  #life = absent;
  #greatest = 0n;

  constructor(policy: KeyPolicy) {
    this.#policy = policy;
  }

  get life(): Readonly<Life> {
    return this.#life;
  }

  /** What the record may be in at that time. */
  phasesAt(at: Span): readonly Phase[] {
    return this.#stagesAt(at).map(({ phase }) => phase);
  }

  /** When time ends the phase of that time, if it does. */
  endAt(time: number): Span {
    return this.#stagesAt({ from: time, to: time })[0]?.end ?? never;
  }

  /** Undefined when the answer is right; else what would have been. */
  check(call: KeyCall, answer: KeyAnswer, at: Span): string | undefined {
    const possible = this.#stagesAt(at).map((stage) => {
      const expected = this.#answerIn(stage.phase, call, at);
      return { stage, expected, difference: this.#differenceOf(answer, expected, at) };
    });
    const right = possible.filter(({ difference }) => difference === undefined);
    const [first] = right;
    if (first === undefined) {
      return possible
        .map(({ stage, expected, difference }) => `${stage.phase}: ${expected.text}${difference}`)
        .join(', or ');
    }
    // Answers that are the same in two phases don't tell in which of them they were given.
    if (right.length === 1) this.#settle(first.stage, at);
    const { finishTime, token } = answer;
    if (finishTime !== undefined) this.#life.finishTime = { from: finishTime, to: finishTime };
    this.#life = first.expected.next?.(answer) ?? this.#life;
    if (token !== undefined && token > this.#greatest) this.#greatest = token;
    return undefined;
  }

  /** The test moved the end of a released or lapsed record to another time. */
  moveEnd(end: number): void {
    const stages = this.#life.stages.map((stage, i, all) =>
      i === all.length - 2 ? { ...stage, end: exactly(end) } : stage,
    );
    this.#life = { ...this.#life, stages };
  }

  #stagesAt(at: Span): readonly Stage[] {
    const { stages } = this.#life;
    return stages.filter(({ end }, i) => at.from <= end.to && at.to >= (stages[i - 1]?.end.from ?? 0));
  }

  /** What the answer tells of the ends: the ones before were over, this one's was not. */
  #settle(stage: Stage, at: Span): void {
    const place = this.#life.stages.indexOf(stage);
    for (const before of this.#life.stages.slice(0, place)) {
      before.end = { from: before.end.from, to: Math.min(before.end.to, at.to) };
    }
    stage.end = { from: Math.max(stage.end.from, at.from), to: stage.end.to };
  }

  #differenceOf(answer: KeyAnswer, { text, token }: Expected, at: Span): string | undefined {
    const { finishTime, digest, stages } = this.#life;
    if (answer.text !== text) return '';
    if (token === 'grown' && (answer.token ?? 0n) <= this.#greatest) return ` above ${this.#greatest}`;
    if (typeof token === 'bigint' && answer.token !== token) return ` with token ${token}`;
    if (answer.finishTime !== undefined && !covers(finishTime, answer.finishTime)) {
      return ` finished ${spanText(finishTime, at)}`;
    }
    const kept = stages.find(({ phase }) => phase === 'kept');
    if (digest !== '' && kept && answer.expireTime !== undefined && !covers(kept.end, answer.expireTime)) {
      return ` until ${spanText(kept.end, at)}`;
    }
    return undefined;
  }

  #answerIn(phase: Phase, call: KeyCall, at: Span): Expected {
    switch (call.verb) {
      case 'begin':
        return this.#begin(phase, call, at);
      case 'complete':
        return this.#finish(phase, call.token, 'COMPLETED', completedWith(call.payload), at);
      case 'failFinal':
        return this.#finish(phase, call.token, 'FAILED', failedWith(call.message), at);
      case 'failRetryable':
        return this.#release(phase, call.token, at);
      case 'heartbeat':
        return this.#heartbeat(phase, call, at);
      case 'lookup':
        return this.#lookup(phase);
      case 'resolve':
        return this.#resolve(phase, call, at);
    }
  }

  #begin(phase: Phase, call: KeyCall & { verb: 'begin' }, at: Span): Expected {
    const life = this.#life;
    const { attempt, takeover, checkpoint, token, attemptId } = life;
    if (phase === 'gone') return this.#grant(absent, false, call, at);
    if (life.operation !== call.operation) return { text: 'error KEY_MISMATCH' };
    switch (phase) {
      case 'leased':
        if (attemptId !== call.attemptId) return { text: `in_progress attempt=${attempt}` };
        return { text: `execute attempt=${attempt} takeover=${takeover} checkpoint=${checkpoint}`, token };
      case 'lapsed':
        if (this.#policy.onLapse === 'RERUN') return this.#grant(life, true, call, at);
        return {
          text: `indeterminate attempt=${attempt}`,
          next: () => ({ ...life, token: undefined, stages: [{ phase: 'parked', end: never }] }),
        };
      case 'released':
        if (attemptId === call.attemptId) return { text: 'error LEASE_LOST' };
        return this.#grant(life, takeover, call, at);
      case 'parked':
        return { text: `indeterminate attempt=${attempt}` };
      case 'kept':
        return { text: `replay ${life.digest} attempts=${attempt}` };
      case 'expired':
        return { text: 'result_expired' };
    }
  }

  #grant(earlier: Life, takeover: boolean, call: KeyCall & { verb: 'begin' }, at: Span): Expected {
    const { attemptId, operation, leaseMs } = call;
    const attempt = earlier.attempt + 1;
    const { checkpoint } = earlier;
    return {
      text: `execute attempt=${attempt} takeover=${takeover} checkpoint=${checkpoint}`,
      token: 'grown',
      next: ({ token }) => ({
        ...{ ...absent, operation, attempt, attemptId, token, takeover, checkpoint },
        stages: this.#leaseStages(later(at, leaseMs), later(at, leaseMs + this.#policy.abandonedRetentionMs)),
      }),
    };
  }

  #leaseStages(leaseEnd: Span, recordEnd: Span): readonly Stage[] {
    const end = this.#policy.onLapse === 'PARK' ? never : recordEnd;
    return [{ phase: 'leased', end: leaseEnd }, { phase: 'lapsed', end }, ...absent.stages];
  }

  /** Why a holder's call is refused, if it is. */
  #refusal(phase: Phase, token: bigint): Expected | undefined {
    if (phase === 'gone') return { text: 'error RECORD_NOT_FOUND' };
    return token === this.#life.token ? undefined : { text: 'error LEASE_LOST' };
  }

  #finish(phase: Phase, token: bigint, state: 'COMPLETED' | 'FAILED', digest: string, at: Span): Expected {
    const life = this.#life;
    const refusal = this.#refusal(phase, token);
    if (refusal !== undefined) return refusal;
    if (phase === 'leased' || phase === 'lapsed') {
      return { text: `${state} already=false`, next: this.#finished({ ...life, state, digest }, at) };
    }
    if (life.state === undefined) return { text: 'error LEASE_LOST' };
    const same = life.state === state && life.digest === digest;
    return { text: same ? `${state} already=true` : 'error RESULT_CONFLICT' };
  }

  #finished(life: Life, at: Span): (answer: KeyAnswer) => Life {
    const { resultRetentionMs, tombstoneRetentionMs } = this.#policy;
    return ({ expireTime }) => {
      const resultEnd = expireTime === undefined ? later(at, resultRetentionMs) : exactly(expireTime);
      const tombstone: Stage = { phase: 'expired', end: later(resultEnd, tombstoneRetentionMs) };
      const stages: Stage[] = [{ phase: 'kept', end: resultEnd }];
      if (tombstoneRetentionMs > 0) stages.push(tombstone);
      return { ...life, finishTime: at, stages: [...stages, ...absent.stages] };
    };
  }

  #release(phase: Phase, token: bigint, at: Span): Expected {
    const life = this.#life;
    const refusal = this.#refusal(phase, token);
    if (refusal !== undefined) return refusal;
    if (life.state !== undefined) return { text: 'error RESULT_CONFLICT' };
    if (phase === 'released') return { text: 'RELEASED already=true' };
    return { text: 'RELEASED already=false', next: () => this.#released(life, at) };
  }

  #released(life: Life, at: Span): Life {
    const end = later(at, this.#policy.abandonedRetentionMs);
    return { ...life, stages: [{ phase: 'released', end }, ...absent.stages] };
  }

  #heartbeat(phase: Phase, call: KeyCall & { verb: 'heartbeat' }, at: Span): Expected {
    const life = this.#life;
    const refusal = this.#refusal(phase, call.token);
    if (refusal !== undefined) return refusal;
    if (phase !== 'leased' && phase !== 'lapsed') return { text: 'error LEASE_LOST' };
    const [leased, lapsed] = life.stages as [Stage, Stage];
    const { leaseMs, checkpoint } = call;
    const leaseEnd = latest(leased.end, later(at, leaseMs));
    const recordEnd = latest(lapsed.end, later(at, leaseMs + this.#policy.abandonedRetentionMs));
    return {
      text: 'extended',
      next: () => ({ ...life, checkpoint, stages: this.#leaseStages(leaseEnd, recordEnd) }),
    };
  }

  #lookup(phase: Phase): Expected {
    const { operation, attempt, token, state, digest } = this.#life;
    const shown = (of: string, stored = 'none') => ({
      text: `${of} ${operation} attempt=${attempt} result=${stored}`,
      token,
    });
    switch (phase) {
      case 'gone':
        return { text: 'error RECORD_NOT_FOUND' };
      case 'leased':
        return shown('IN_PROGRESS');
      case 'lapsed':
        return shown(this.#policy.onLapse === 'PARK' ? 'INDETERMINATE' : 'IN_PROGRESS');
      case 'released':
        return shown('RELEASED');
      case 'parked':
        return shown('INDETERMINATE');
      case 'kept':
        return shown(state ?? '', digest);
      case 'expired':
        return shown(state ?? '');
    }
  }

  /** Only asked of what is parked for certain. */
  #resolve(phase: Phase, { decision, payload }: KeyCall & { verb: 'resolve' }, at: Span): Expected {
    if (phase !== 'parked') return { text: 'error STATE_CONFLICT' };
    // The operator is nobody's attempt.
    const life: Life = { ...this.#life, token: undefined, attemptId: '', takeover: false };
    if (decision === 'release') {
      return { text: 'RELEASED already=false', next: () => this.#released(life, at) };
    }
    const done: Life = { ...life, state: 'COMPLETED', digest: completedWith(payload) };
    return { text: 'COMPLETED already=false', next: this.#finished(done, at) };
  }
}
