import type { KeyCall } from './key-call.js';
import type { KeyModel, Phase } from './key-model.js';
import type { Span } from './span.js';

/** What a caller does next: a call, or letting the record's end come near (`hurry`), or waiting for the phase to end. */
export type Step = KeyCall | { readonly verb: 'hurry' } | { readonly verb: 'await' };

/** Of each phase, how often what is done there; `again` repeats the key's last finishing call. */
const weights: Readonly<Record<Phase, Readonly<Partial<Record<Choice, number>>>>> = {
  gone: { begin: 16, lookup: 2, again: 2 },
  leased: {
    complete: 8,
    failFinal: 2,
    failRetryable: 3,
    heartbeat: 3,
    beginAgain: 2,
    begin: 2,
    lookup: 2,
    await: 3,
  },
  lapsed: { begin: 6, complete: 2, failRetryable: 1, heartbeat: 2, hurry: 5, lookup: 2, await: 3 },
  released: { begin: 5, beginAgain: 1, hurry: 8, again: 1, lookup: 2, await: 6 },
  parked: { resolve: 8, begin: 3, complete: 1, lookup: 2 },
  kept: { begin: 8, lookup: 3, again: 3, mismatch: 1, failFinal: 1, heartbeat: 1, await: 6 },
  expired: { begin: 8, lookup: 3, again: 3, mismatch: 1, complete: 1, await: 6 },
};
type Choice = KeyCall['verb'] | 'beginAgain' | 'mismatch' | 'again' | 'hurry' | 'await';

/** Leases are short, so that they lapse. */
const leaseMs = { least: 150, most: 1000 };

/** Chooses the steps of one key's caller. */
export class NextCall {
  readonly #random: () => number;
  #count = 0;
  #lastFinish: KeyCall | undefined;

  constructor(random: () => number) {
    this.#random = random;
  }

  next(model: KeyModel, at: Span): Step {
    const phases = model.phasesAt(at);
    const phase = phases[0] ?? 'gone';
    const step = this.#stepOf(this.#choose(phase), model);
    // Only what is parked for certain is an operator's to decide; only what nobody holds is to be forgotten by time.
    if (step.verb === 'hurry' && phases.length > 1) return { verb: 'lookup' };
    if (step.verb === 'complete' || step.verb.startsWith('fail')) this.#lastFinish = step as KeyCall;
    return step;
  }

  #choose(phase: Phase): Choice {
    const choices = Object.entries(weights[phase]) as (readonly [Choice, number])[];
    let at = this.#random() * choices.reduce((sum, [, weight]) => sum + weight, 0);
    return choices.find(([, weight]) => (at -= weight) < 0)?.[0] ?? 'lookup';
  }

  #stepOf(choice: Choice, { life }: KeyModel): Step {
    this.#count += 1;
    const lease = { leaseMs: Math.round(leaseMs.least + this.#random() * (leaseMs.most - leaseMs.least)) };
    const begin = {
      verb: 'begin',
      attemptId: `attempt-${this.#count}`,
      operation: 'charge',
      ...lease,
    } as const;
    // Of a key that was never granted, or of whose grant nobody knows: one that was superseded, or is another key's.
    const token = life.token ?? 1n;
    switch (choice) {
      case 'begin':
        return begin;
      case 'mismatch':
        return { ...begin, operation: 'refund' };
      case 'beginAgain':
        return { ...begin, attemptId: life.attemptId === '' ? begin.attemptId : life.attemptId };
      case 'complete':
        return { verb: 'complete', token, payload: this.#payload() };
      case 'failFinal':
      case 'failRetryable':
        return { verb: choice, token, message: `no ${this.#count}` };
      case 'heartbeat': {
        const sequence = this.#count;
        return { verb: 'heartbeat', token, ...lease, checkpoint: `checkpoint-${sequence}`, sequence };
      }
      case 'resolve': {
        const decision = this.#random() < 0.5 ? 'complete' : 'release';
        return { verb: 'resolve', decision, payload: this.#payload() };
      }
      case 'again':
        return this.#lastFinish ?? { verb: 'lookup' };
      case 'lookup':
      case 'hurry':
      case 'await':
        return { verb: choice };
    }
  }

  /** Some are kept in line, some out of it; every one is another. */
  #payload(): string {
    const length = Math.floor(this.#random() ** 3 * 6000);
    let text = `result ${this.#count} `;
    while (text.length < length) text += this.#random().toString(36).slice(2);
    return text;
  }
}
