import { OncewardError } from '../core/errors.js';
import { boarding, type Rider } from '../telemetry/statement-observer.js';

export interface LaneOptions<Item, Answer> {
  /** Statements under way at once. */
  readonly width: number;
  /** Items of one statement. */
  readonly maxBatch: number;
  /**
   * Items that may wait, and bytes of them. An owner may have as many waiting as there is still room for: half when it is alone, a
   * third beside one that takes all it may. One more is refused with OVERLOADED, and who comes next finds room.
   */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly maxBatchBytes: number;
  /** What may be in a batch only once; the next item of the same record rides the next batch. */
  readonly recordOf: (item: Item) => string;
  /** Whose item it is: when more waits than a batch takes, all take turns. Default: nobody's. */
  readonly ownerOf?: (item: Item) => string;
  /** Bytes of an item; a batch carries at most `maxBatchBytes` of them, but always an item. */
  readonly bytesOf?: (item: Item) => number;
  /** Does the work: one answer an item, in order; an Error is that item's failure. */
  readonly run: (items: readonly Item[], riders: readonly Rider[]) => Promise<readonly (Answer | Error)[]>;
}

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly bytes: number;
  readonly rider: Rider;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** So long an item waits for more to ride with while a statement is under way, ms: that one may wait for a lock. */
const patienceMs = 10;

/**
 * Items ride together: an idle lane leaves with what one turn of the event loop brought, and while a statement is under way the
 * next batch gathers. So a lone item never waits, and a busy lane has few, large statements. Another one leaves beside it with half of
 * a full batch, or with who has lost patience: a statement has a cost of its own, and what waits briefly for its end rides cheaper.
 * Owners take turns, so whoever floods a lane waits for itself alone.
 */
export class Lane<Item, Answer> {
  readonly #options: LaneOptions<Item, Answer>;
  /**
   * Of each owner there ever was. A Map that is filled and emptied all day would keep what was in it: its old tables name the next
   * ones, and one that got old keeps them from being collected for a while.
   */
  readonly #queues = new Map<string, Queue<Waiting<Item, Answer>>>();
  /** Those in which something waits, who has the next turn first. */
  #turns: Queue<Waiting<Item, Answer>>[] = [];
  #waitingCount = 0;
  #waitingBytes = 0;
  #underWay = 0;
  #leaving = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(options: LaneOptions<Item, Answer>) {
    this.#options = options;
  }

  submit(item: Item): Promise<Answer> {
    const { maxWaiting, maxWaitingBytes, bytesOf, ownerOf } = this.#options;
    const bytes = bytesOf?.(item) ?? 0;
    const queue = this.#queueOf(ownerOf?.(item) ?? '');
    const full = queue.size >= maxWaiting - this.#waitingCount;
    if (full || queue.bytes + bytes > maxWaitingBytes - this.#waitingBytes) {
      const own = `${queue.size} of them (${queue.bytes} bytes) of this namespace`;
      const text = `the store is behind by ${this.#waitingCount} calls (${this.#waitingBytes} bytes), ${own}`;
      return Promise.reject(new OncewardError('OVERLOADED', text, { retryAfterMs: 200 }));
    }
    this.#waitingCount += 1;
    this.#waitingBytes += bytes;
    if (queue.size === 0) this.#turns.push(queue);
    return new Promise((resolve, reject) => {
      queue.add({ item, bytes, rider: boarding(), resolve, reject });
      this.#leaveSoon();
    });
  }

  #queueOf(owner: string): Queue<Waiting<Item, Answer>> {
    const known = this.#queues.get(owner);
    if (known !== undefined) return known;
    const queue = new Queue<Waiting<Item, Answer>>();
    this.#queues.set(owner, queue);
    return queue;
  }

  #leaveSoon(): void {
    if (this.#leaving || this.#underWay >= this.#options.width || this.#waitingCount === 0) return;
    if (this.#underWay > 0 && this.#waitingCount < this.#worthwhile) {
      this.#patience ??= setTimeout(this.#leave, patienceMs);
      return;
    }
    clearTimeout(this.#patience);
    this.#leaving = true;
    setImmediate(this.#leave);
  }

  readonly #leave = (): void => {
    this.#patience = undefined;
    this.#leaving = false;
    const batch = this.#takeBatch();
    this.#underWay += 1;
    void this.#ride(batch).finally(() => {
      this.#underWay -= 1;
      this.#leaveSoon();
    });
    this.#leaveSoon();
  };

  /** So many items are worth a statement beside others. */
  get #worthwhile(): number {
    return this.#options.maxBatch / 2;
  }

  #takeBatch(): readonly Waiting<Item, Answer>[] {
    const { width, maxBatchBytes, recordOf } = this.#options;
    const leaving = Math.min(width - this.#underWay, Math.floor(this.#waitingCount / this.#worthwhile));
    const share = Math.ceil(this.#waitingCount / Math.max(1, leaving));
    const maxBatch = Math.min(this.#options.maxBatch, share);
    const records = new Set<string>();
    const batch: Waiting<Item, Answer>[] = [];
    let bytes = 0;
    const fits = (waiting: Waiting<Item, Answer>) =>
      batch.length < maxBatch && (batch.length === 0 || bytes + waiting.bytes <= maxBatchBytes);
    const isFirst = ({ item }: Waiting<Item, Answer>) => {
      const record = recordOf(item);
      if (records.has(record)) return false;
      records.add(record);
      return true;
    };
    const turns = this.#turns;
    for (let open = turns; open.length > 0;) {
      open = open.filter((queue) => {
        const waiting = queue.next(isFirst, fits);
        if (waiting === undefined) return false;
        bytes += waiting.bytes;
        batch.push(waiting);
        return true;
      });
    }
    for (const queue of turns) queue.departed();
    // Who had the first turn now has the last one next time.
    this.#turns = [...turns.slice(1), ...turns.slice(0, 1)].filter(({ size }) => size > 0);
    this.#waitingCount -= batch.length;
    this.#waitingBytes -= bytes;
    return batch;
  }

  async #ride(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.run(
        batch.map(({ item }) => item),
        batch.map(({ rider }) => rider),
      );
      batch.forEach((waiting, i) => {
        const answer = answers[i];
        if (answer instanceof Error) waiting.reject(answer);
        else waiting.resolve(answer as Answer);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
  }
}

/** What one owner has waiting, and its way through it while a batch is put together. */
class Queue<Waiting extends { readonly bytes: number }> {
  #waiting: Waiting[] = [];
  /** Stay, as their record is in the batch already. */
  #passedOver: Waiting[] = [];
  #at = 0;
  #bytes = 0;

  get size(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#bytes += waiting.bytes;
  }

  /** The next one that may ride; undefined when there is none or it does not fit. */
  next(isFirst: (waiting: Waiting) => boolean, fits: (waiting: Waiting) => boolean): Waiting | undefined {
    for (; this.#at < this.#waiting.length; this.#at += 1) {
      const waiting = this.#waiting[this.#at] as Waiting;
      if (!isFirst(waiting)) {
        this.#passedOver.push(waiting);
        continue;
      }
      if (!fits(waiting)) break;
      this.#at += 1;
      this.#bytes -= waiting.bytes;
      return waiting;
    }
    return undefined;
  }

  /** The batch is complete: what it took is not here any more. */
  departed(): void {
    this.#waiting = this.#passedOver.concat(this.#waiting.slice(this.#at));
    this.#passedOver = [];
    this.#at = 0;
  }
}
