import { setTimeout as sleep } from 'node:timers/promises';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import type { KeyRef } from '../../src/gen/onceward/v1/record.js';
import type { TestDatabase } from '../support/database.js';
import { send, type KeyAnswer, type KeyCall } from './key-call.js';
import { KeyModel, type KeyPolicy } from './key-model.js';
import { NextCall } from './next-call.js';
import type { Span } from './span.js';

/** Shared by all callers. */
export interface CallerCounts {
  operations: number;
  /** Calls whose outcome is unknown. */
  unknown: number;
  replays: number;
  resultExpired: number;
  /** Grants of a key that had been completed, failed or abandoned, and forgotten. */
  newLives: number;
  /** Calls in the instant around an expiry, where either answer is right. */
  uncertain: number;
}

export interface CallerOptions {
  readonly coordinators: readonly CoordinatorConnection[];
  readonly query: TestDatabase['query'];
  readonly policy: KeyPolicy;
  /** The first key, and the next ones when there is no more to learn from one. */
  readonly refOf: (turn: number) => KeyRef;
  readonly random: () => number;
  readonly counts: CallerCounts;
  readonly onWrong: (text: string) => void;
}

/** Between two calls of a caller, at most, ms. */
const thinkMs = 120;
/** A caller that waits for an end comes as long before or after it, at most, ms. */
const aroundMs = 12;
/** It does not wait for what takes longer, ms. */
const patienceMs = 5000;
/** How soon an end comes that is hurried, at most, ms. */
const hurryMs = 250;
/** Of calls on a record that is kept for ever, until another key. */
const changeKey = 0.05;

/** One key at a time, called by nobody else: so it is known what is right to answer. */
export class KeyCaller {
  readonly #options: CallerOptions;
  readonly #chooser: NextCall;
  #turn = 0;
  #ref: KeyRef;
  #model: KeyModel;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#chooser = new NextCall(options.random);
    this.#ref = options.refOf(0);
    this.#model = new KeyModel(options.policy);
  }

  async work(signal: AbortSignal): Promise<void> {
    const { random } = this.#options;
    while (!signal.aborted) {
      const step = this.#chooser.next(this.#model, now());
      if (step.verb === 'await') await this.#awaitEnd(signal);
      else if (step.verb === 'hurry') await this.#hurryEnd();
      else await this.#call(step);
      const kept = this.#model.endAt(Date.now()).to === Infinity && this.#model.phasesAt(now())[0] === 'kept';
      if (kept && random() < changeKey) this.#changeKey();
      await pause(random() * thinkMs, signal);
    }
  }

  async #call(call: KeyCall): Promise<void> {
    const { coordinators, random, counts, onWrong } = this.#options;
    const to = coordinators[Math.floor(random() * coordinators.length)]!;
    const before = Date.now();
    const answer = await send(to, this.#ref, call);
    const at: Span = { from: before, to: Date.now() + 1 };
    counts.operations += 1;
    if (answer === undefined) {
      counts.unknown += 1;
      this.#changeKey();
      return;
    }
    const lived = this.#model.life.attempt > 0;
    if (this.#model.phasesAt(at).length > 1) counts.uncertain += 1;
    const expected = this.#model.check(call, answer, at);
    if (expected === undefined) {
      if (answer.text.startsWith('replay')) counts.replays += 1;
      if (answer.text === 'result_expired') counts.resultExpired += 1;
      if (lived && answer.text.startsWith('execute attempt=1 takeover=false') && call.verb === 'begin') {
        counts.newLives += 1;
      }
      return;
    }
    onWrong(`${this.#ref.namespace}/${this.#ref.key}: ${said(call, answer)}, expected ${expected}`);
    this.#changeKey();
  }

  async #awaitEnd(signal: AbortSignal): Promise<void> {
    const leftMs = this.#model.endAt(Date.now()).from - Date.now();
    if (leftMs > patienceMs) return;
    await pause(leftMs + (this.#options.random() * 2 - 1) * aroundMs, signal);
  }

  /** As if nobody had come back to it for the whole `abandoned_retention`. */
  async #hurryEnd(): Promise<void> {
    const { query, random, policy } = this.#options;
    if (policy.onLapse === 'PARK' && this.#model.phasesAt(now())[0] !== 'released') return;
    const [row] = await query<{ end: number }>(
      `UPDATE onceward.record SET record_expire_time = now() + $4 * interval '1 ms'
       WHERE namespace = $1 AND scope = $2 AND key = $3 AND record_expire_time > now()
         AND (state = 'RELEASED' OR (state = 'IN_PROGRESS' AND lease_expire_time <= now()))
       RETURNING extract(epoch FROM record_expire_time)::float8 * 1000 AS end`,
      [this.#ref.namespace, this.#ref.scope, this.#ref.key, random() * hurryMs],
    );
    if (row !== undefined) this.#model.moveEnd(Math.floor(row.end));
  }

  #changeKey(): void {
    this.#turn += 1;
    this.#ref = this.#options.refOf(this.#turn);
    this.#model = new KeyModel(this.#options.policy);
  }
}

/** Coordinators, database and callers are on one machine, whose clock this is. */
function now(): Span {
  const time = Date.now();
  return { from: time, to: time + 1 };
}

function said(call: KeyCall, answer: KeyAnswer): string {
  return JSON.stringify({ call, answer }, (_, part: unknown) =>
    typeof part === 'bigint' ? String(part) : typeof part === 'string' ? part.slice(0, 40) : part,
  );
}

function pause(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}
