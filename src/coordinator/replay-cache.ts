import { identityOf } from '../core/key.js';
import type { FinishResult, Granted, GrantTerms } from '../core/key-store.js';
import type { Replayable } from '../core/record.js';
import { RecentGrants } from './recent-grants.js';
import { ReplayLog } from './replay-log.js';

export interface ReplayCacheOptions {
  /** Memory for results with their bookkeeping, bytes; 0 switches the cache off. A result of more than half is not kept. */
  readonly maxBytes: number;
  /** 8 bytes each; fewer than 4 switch the cache off. */
  readonly maxEntries: number;
}

/** What a Begin on a finished record is answered. */
export interface Replay {
  readonly kind: 'replay';
  readonly record: Replayable;
  /** The encoded answer, which never changes, as the record does not. */
  readonly encoded: Uint8Array | undefined;
  /** Takes the encoded answer for later replays; undefined where this one came from the store, so may be the only one. */
  readonly keepEncoded: ((encoded: Uint8Array) => void) | undefined;
}

/** Of larger results the answer is encoded for each replay, bytes: copying is most of the work then, and memory dearer. */
const smallAnswerBytes = 1024;

/** What the store answered a finishing call. */
interface Finished {
  readonly finishTime: number;
  readonly resultExpireTime: number;
}

/**
 * Finished records, which only an operator can change. It is used only while Sync is fresh, so an operator's change is
 * honoured within a second whatever happens to this process or its connections.
 */
export class ReplayCache {
  readonly #log: ReplayLog;
  readonly #grants = new RecentGrants();
  /** Grows with every removal, so that a read begun before one can't bring back what was removed. */
  #generation = 0;

  constructor({ maxBytes, maxEntries }: ReplayCacheOptions) {
    this.#log = new ReplayLog(maxBytes, maxEntries);
  }

  get generation(): number {
    return this.#generation;
  }

  get entryCount(): number {
    return this.#log.entryCount;
  }

  /** Bytes, as far as `maxBytes` counts them. */
  get bytes(): number {
    return this.#log.bytes;
  }

  get(identity: string): Replay | undefined {
    const found = this.#log.get(identity);
    if (found === undefined) return undefined;
    const { record, encoded } = found;
    const generation = this.#generation;
    const keepEncoded = (answer: Uint8Array) => {
      if (answer.length > smallAnswerBytes || generation !== this.#generation) return;
      this.#log.put(identity, { record, encoded: answer });
    };
    return { kind: 'replay', record, encoded, keepEncoded: encoded === undefined ? keepEncoded : undefined };
  }

  /** `generation` is the cache's as of before the record was read. */
  put(identity: string, record: Replayable, generation: number): void {
    if (generation === this.#generation) this.#log.put(identity, { record, encoded: undefined });
  }

  /** A key nobody had was granted. */
  granted(terms: GrantTerms, granted: Granted): void {
    this.#grants.add({ terms, granted });
  }

  /** An attempt got its result: if its grant was made here, its retries need not read it. `generation` as for `put`. */
  finished(finish: FinishResult, { finishTime, resultExpireTime }: Finished, generation: number): void {
    const grant = this.#grants.take(finish.fencingToken);
    if (grant === undefined) return;
    const { operation, fingerprint, traceparent } = grant.terms;
    const { attempt } = grant.granted;
    const { result } = finish;
    const record = { operation, fingerprint, attempt, traceparent, finishTime, resultExpireTime, result };
    this.put(identityOf(finish.ref), record, generation);
  }

  remove(identity: string): void {
    this.#generation += 1;
    this.#log.remove(identity);
  }

  clear(): void {
    this.#generation += 1;
    this.#log.clear();
  }
}
