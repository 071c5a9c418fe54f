import { identityHash, identityOf, type KeyRef } from '../core/key.js';
import type { KeyStore } from '../core/key-store.js';

/** How often waiters look by themselves, ms: the bound when a notification is lost. */
const pollMs = 1000;
/** The database's clock must have passed the lease's end when a waiter asks again. */
const lapseMarginMs = 1;

/** All waiters of this process for one record. */
interface Group {
  readonly hash: string;
  readonly wakers: Set<() => void>;
  /** The attempt whose end the store was asked to notify. */
  watchedToken: bigint | undefined;
  timer: NodeJS.Timeout | undefined;
  /** When the timer fires, on `performance.now()`. */
  timerTime: number;
}

export interface Wait {
  readonly ref: KeyRef;
  /** Of the attempt waited for. */
  readonly fencingToken: bigint;
  readonly leaseLeftMs: number;
  /** When to give up, on `performance.now()`. */
  readonly untilTime: number;
  readonly signal: AbortSignal;
}

/**
 * Begins that stay until someone else's attempt ends. A waiter is a timer and an entry in a map: it holds no connection.
 * It is woken by the finish on this process, by a notification from another one, by the lapse of the lease, and by a slow
 * poll; whoever is woken asks the store again, together with all others of the record.
 */
export class Waiters {
  readonly #store: KeyStore;
  readonly #groups = new Map<string, Group>();
  readonly #identityByHash = new Map<string, string>();
  #closed = false;

  constructor(store: KeyStore) {
    this.#store = store;
    store.onFinished((hash) => {
      const identity = this.#identityByHash.get(hash);
      if (identity !== undefined) this.#wakeGroup(identity);
    });
  }

  /** Waiters of this process, over all records. */
  get size(): number {
    let size = 0;
    for (const group of this.#groups.values()) size += group.wakers.size;
    return size;
  }

  /** `woken` when it makes sense to ask again, `over` when time is up, the caller left or the server drains. */
  async wait(wait: Wait): Promise<'woken' | 'over'> {
    const leftMs = wait.untilTime - performance.now();
    if (this.#closed || leftMs <= 0 || wait.signal.aborted) return 'over';
    const identity = identityOf(wait.ref);
    const group = this.#join(identity);
    const ended = new Promise<'woken' | 'over'>((resolve) => {
      const end = (how: 'woken' | 'over') => {
        clearTimeout(timer);
        wait.signal.removeEventListener('abort', leave);
        group.wakers.delete(wake);
        if (group.wakers.size === 0) this.#remove(identity, group);
        resolve(how);
      };
      const wake = () => {
        end(this.#closed ? 'over' : 'woken');
      };
      const leave = () => {
        end('over');
      };
      const timer = setTimeout(leave, leftMs);
      wait.signal.addEventListener('abort', leave);
      group.wakers.add(wake);
    });
    this.#watch(identity, group, wait);
    this.#wakeBy(identity, group, Math.min(wait.leaseLeftMs + lapseMarginMs, pollMs));
    return ended;
  }

  /** Wakes this process's waiters of a record whose attempt ended here. */
  wake(ref: KeyRef): void {
    if (this.#groups.size > 0) this.#wakeGroup(identityOf(ref));
  }

  /** Ends all waits, now and later: the server drains. */
  close(): void {
    this.#closed = true;
    for (const identity of [...this.#groups.keys()]) this.#wakeGroup(identity);
  }

  #join(identity: string): Group {
    const known = this.#groups.get(identity);
    if (known !== undefined) return known;
    const hash = identityHash(identity);
    const group: Group = {
      hash,
      wakers: new Set(),
      watchedToken: undefined,
      timer: undefined,
      timerTime: Infinity,
    };
    this.#groups.set(identity, group);
    this.#identityByHash.set(hash, identity);
    return group;
  }

  /** Asks the store to notify; the waiter is registered already, so an end in between is not missed. */
  #watch(identity: string, group: Group, { ref, fencingToken }: Wait): void {
    if (group.watchedToken === fencingToken) return;
    group.watchedToken = fencingToken;
    this.#store.watch(ref, fencingToken).then(
      (underWay) => {
        if (!underWay) this.#wakeGroup(identity);
      },
      () => {
        // The poll finds what the notification would have told.
        group.watchedToken = undefined;
      },
    );
  }

  #wakeBy(identity: string, group: Group, inMs: number): void {
    const time = performance.now() + inMs;
    if (time >= group.timerTime) return;
    clearTimeout(group.timer);
    group.timerTime = time;
    group.timer = setTimeout(() => {
      this.#wakeGroup(identity);
    }, inMs);
  }

  #wakeGroup(identity: string): void {
    const group = this.#groups.get(identity);
    if (group === undefined) return;
    clearTimeout(group.timer);
    group.timerTime = Infinity;
    for (const wake of [...group.wakers]) wake();
  }

  #remove(identity: string, group: Group): void {
    clearTimeout(group.timer);
    if (this.#groups.get(identity) === group) this.#groups.delete(identity);
    this.#identityByHash.delete(group.hash);
  }
}
