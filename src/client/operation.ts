import { AsyncLocalStorage } from 'node:async_hooks';
import { OncewardError } from '../core/errors.js';
import type { KeyRef } from '../core/key.js';
import type { Lease } from './lease.js';

/** What a guarded function knows of its execution. */
export interface Operation {
  readonly ref: KeyRef;
  /** Larger than the token of every earlier execution; a sink should refuse smaller ones. 0 when `guarded` is false. */
  readonly fencingToken: bigint;
  /** Which execution this is, from 1; 0 when `guarded` is false. */
  readonly attempt: number;
  /** True when the lease of an earlier execution lapsed: its effect may have happened. */
  readonly takeover: boolean;
  /** The last checkpoint of earlier executions. */
  readonly checkpoint: Uint8Array | undefined;
  /** Aborts before the lease can be lost, and when it is. Whatever this execution then still answers is not used. */
  readonly signal: AbortSignal;
  /** False when failing open let it through without a coordinator. */
  readonly guarded: boolean;
  /** Stores how far the work got, at most 64 KiB, for the next execution. Rejects with LEASE_LOST when another took over. */
  saveCheckpoint(checkpoint: Uint8Array): Promise<void>;
  /** Throws LEASE_LOST when the lease can't be trusted any more; to be asked right before what can't be undone. */
  assertHeld(): void;
}

/** The grant behind an operation. */
export interface Grant {
  readonly fencingToken: bigint;
  readonly attempt: number;
  readonly takeover: boolean;
  readonly checkpoint?: Uint8Array | undefined;
}

export class RunningOperation implements Operation {
  readonly ref: KeyRef;
  readonly fencingToken: bigint;
  readonly attempt: number;
  readonly takeover: boolean;
  readonly checkpoint: Uint8Array | undefined;
  readonly guarded: boolean;
  /** How many services the chain of calls went through before this one. */
  readonly hops: number;
  /** Set right after the grant; none when it is not guarded. */
  lease: Lease | undefined;
  /** Made when first asked for: most executions never look, and it is dear. */
  #controller: AbortController | undefined;
  #lostBy: OncewardError | undefined;
  #occurrences: Map<string, number> | undefined;

  constructor(ref: KeyRef, hops: number, grant: Grant | undefined) {
    this.ref = ref;
    this.hops = hops;
    this.guarded = grant !== undefined;
    this.fencingToken = grant?.fencingToken ?? 0n;
    this.attempt = grant?.attempt ?? 0;
    this.takeover = grant?.takeover ?? false;
    this.checkpoint = grant?.checkpoint;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#lostBy !== undefined) this.#controller.abort(this.#lostBy);
    }
    return this.#controller.signal;
  }

  async saveCheckpoint(checkpoint: Uint8Array): Promise<void> {
    this.assertHeld();
    await this.lease?.extend(checkpoint);
  }

  assertHeld(): void {
    this.lease?.check();
    if (this.#lostBy !== undefined) throw this.#lostBy;
  }

  lose(error: OncewardError): void {
    this.#lostBy ??= error;
    this.#controller?.abort(error);
  }

  /** How many calls with this content there were before, from 0. */
  occurrence(method: string, digest: Uint8Array): number {
    const content = `${method} ${Buffer.from(digest).toString('latin1')}`;
    this.#occurrences ??= new Map();
    const count = this.#occurrences.get(content) ?? 0;
    this.#occurrences.set(content, count + 1);
    return count;
  }
}

const running = new AsyncLocalStorage<RunningOperation | undefined>();

/** The operation that this code runs in, through all its awaits; undefined outside of one. */
export function currentOperation(): Operation | undefined {
  return running.getStore();
}

export function runningOperation(): RunningOperation | undefined {
  return running.getStore();
}

export function runInside<T>(operation: RunningOperation | undefined, run: () => T): T {
  return running.run(operation, run);
}
