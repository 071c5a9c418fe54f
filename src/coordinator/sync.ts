import { identityOf } from '../core/key.js';
import type { KeyStore, SyncAnswer } from '../core/key-store.js';
import type { Namespaces } from './namespaces.js';
import type { ReplayCache } from './replay-cache.js';

const intervalMs = 200;
/** Older than this, what is in memory is no longer trusted; with the time of a poll it stays below a second. */
const freshMs = 700;
/**
 * A poll without an answer at so many looks: the store does not answer. Looks, ms apart, and no time: a process that was busy did not look,
 * and may not even have asked.
 */
const silence = { looks: 15, everyMs: 100 };
/** Revisions are far below it: asks where the store is now without any of its past. */
const noPast = 2n ** 63n - 1n;

/**
 * Keeps memory and store in step by polling the store's revision; notifications only make it faster. Also tells the
 * database's clock. Time here is `performance.now()`, which goes on while the process is stopped: a process that wakes
 * from a SIGSTOP finds its knowledge stale.
 */
export class Sync {
  readonly #store: KeyStore;
  readonly #cache: ReplayCache;
  readonly #namespaces: Namespaces;
  readonly #onReachable: (reachable: boolean) => void;
  #revision = noPast;
  /** Of the first successful poll, and of the last. */
  #firstToken: bigint | undefined;
  #lastToken = 0n;
  /** When the last successful poll was sent, and the database time it brought. */
  #sentTime = -Infinity;
  #databaseTime = 0;
  #clockOffsetMs: number | undefined;
  #reachable = false;
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #stopped = false;

  constructor(
    store: KeyStore,
    cache: ReplayCache,
    namespaces: Namespaces,
    onReachable: (reachable: boolean) => void,
  ) {
    this.#store = store;
    this.#cache = cache;
    this.#namespaces = namespaces;
    this.#onReachable = onReachable;
    store.onRevision(() => void this.poll());
  }

  async start(): Promise<void> {
    // In this order: what changes after the poll is told by the next one; what changed before is in what is loaded.
    await this.poll();
    await this.#namespaces.load();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Fencing tokens drawn since the start, by whatever process. Their number, not the last one: tokens are nobody else's to know. */
  get tokensDrawn(): number {
    return Number(this.#lastToken - (this.#firstToken ?? 0n));
  }

  /** `databaseTime` while operators' changes up to a moment ago are known here; else undefined: memory must not be trusted. */
  trustedTime(): number | undefined {
    const sinceSent = performance.now() - this.#sentTime;
    return sinceSent < freshMs ? this.#databaseTime + sinceSent : undefined;
  }

  /** Never behind the database's clock by more than drift: an expiry judged by it is at worst a round trip early. */
  databaseTime(): number {
    return this.#databaseTime + (performance.now() - this.#sentTime);
  }

  /**
   * The database's clock minus our wall clock as of the last poll, ms; off by at most half of its round trip. It is only
   * shown: wall clocks decide nothing.
   */
  clockOffsetMs(): number | undefined {
    return this.#clockOffsetMs;
  }

  /** One poll; a failure leaves the last success to grow stale. */
  poll(): Promise<void> {
    this.#polling ??= this.#pollOnce().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #pollOnce(): Promise<void> {
    const sentTime = performance.now();
    let looks = 0;
    // Told while it hangs, as its failure may take as long as a statement may.
    const looking = setInterval(() => {
      looks += 1;
      if (looks === silence.looks) this.#report(false);
    }, silence.everyMs);
    try {
      const answer = await this.#store.sync(this.#revision);
      this.#apply(answer);
      this.#sentTime = sentTime;
      const midwayTime = Date.now() - (performance.now() - sentTime) / 2;
      this.#clockOffsetMs = answer.nowTime - midwayTime;
      this.#report(true);
    } catch {
      // The calls report the store's failures; here it is enough that freshness runs out. A process that is merely
      // busy grows stale too, but it is no reason to send its callers elsewhere.
      if (this.trustedTime() === undefined) this.#report(false);
    } finally {
      clearInterval(looking);
    }
  }

  #apply({ revision, nowTime, fencingToken, actions }: SyncAnswer): void {
    if (this.#revision === noPast) {
      // The first poll may be late: what changed before it is told by none.
      this.#namespaces.dropAll();
      this.#cache.clear();
    }
    for (const { action, ref } of actions) {
      if (action === 'put-namespace') this.#namespaces.drop(ref.namespace);
      else this.#cache.remove(identityOf(ref));
    }
    this.#revision = revision;
    this.#firstToken ??= fencingToken;
    this.#lastToken = fencingToken;
    this.#databaseTime = nowTime;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.poll().finally(() => {
        this.#schedule();
      });
    }, intervalMs);
  }

  #report(reachable: boolean): void {
    if (reachable === this.#reachable) return;
    this.#reachable = reachable;
    this.#onReachable(reachable);
  }
}
