import { OncewardError } from '../core/errors.js';
import { boarding, type Rider } from '../telemetry/statement-observer.js';

export interface LaneOptions<Item, Answer> {
  /** Statements under way at once. */
  readonly width: number;
  /** Items of one statement. */
  readonly maxBatch: number;
  /** Items that may wait; one more is refused with OVERLOADED. */
  readonly maxWaiting: number;
  readonly maxBatchBytes: number;
  readonly maxWaitingBytes: number;
  /** What may be in a batch only once; the next item of the same record rides the next batch. */
  readonly recordOf: (item: Item) => string;
  /** Whose item it is: when more waits than a batch takes, all take turns. Default: nobody's. */
  readonly ownerOf?: (item: Item) => string;
  /** Bytes of an item; a batch carries at most `maxBatchBytes` of them, and `maxWaitingBytes` may wait. */
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

/** So many items ride together rather than one half each in two statements: a statement has a cost of its own. */
const leastShare = 32;

/**
 * Items ride together: an idle lane leaves with what one turn of the event loop brought, and while its statements are
 * under way the next batch gathers. So a lone item never waits, and a busy lane has few, large statements. What waits
 * is shared among the statements that may leave: else all of a lane's callers become one convoy, and whatever it is not with is idle.
 * Owners take turns, so whoever floods a lane waits for itself alone.
 */
export class Lane<Item, Answer> {
  readonly #options: LaneOptions<Item, Answer>;
  /** By owner; who has nothing waiting is not in it. */
  readonly #queues = new Map<string, Waiting<Item, Answer>[]>();
  #waitingCount = 0;
  #waitingBytes = 0;
  #underWay = 0;
  #leaving = false;

  constructor(options: LaneOptions<Item, Answer>) {
    this.#options = options;
  }

  submit(item: Item): Promise<Answer> {
    const { maxWaiting, maxWaitingBytes, bytesOf, ownerOf } = this.#options;
    const bytes = bytesOf?.(item) ?? 0;
    if (this.#waitingCount >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes) {
      const text = `the store is behind by ${this.#waitingCount} calls (${this.#waitingBytes} bytes)`;
      return Promise.reject(new OncewardError('OVERLOADED', text, { retryAfterMs: 200 }));
    }
    this.#waitingCount += 1;
    this.#waitingBytes += bytes;
    const owner = ownerOf?.(item) ?? '';
    return new Promise((resolve, reject) => {
      const waiting = { item, bytes, rider: boarding(), resolve, reject };
      const queue = this.#queues.get(owner);
      if (queue === undefined) this.#queues.set(owner, [waiting]);
      else queue.push(waiting);
      this.#leaveSoon();
    });
  }

  #leaveSoon(): void {
    if (this.#leaving || this.#underWay >= this.#options.width || this.#waitingCount === 0) return;
    this.#leaving = true;
    setImmediate(() => {
      this.#leaving = false;
      const batch = this.#takeBatch();
      this.#underWay += 1;
      void this.#ride(batch).finally(() => {
        this.#underWay -= 1;
        this.#leaveSoon();
      });
      this.#leaveSoon();
    });
  }

  #takeBatch(): readonly Waiting<Item, Answer>[] {
    const { width, maxBatchBytes, recordOf } = this.#options;
    const share = Math.ceil(this.#waitingCount / (width - this.#underWay));
    const maxBatch = Math.min(this.#options.maxBatch, Math.max(share, leastShare));
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
    const turns = [...this.#queues].map(([owner, queue]) => new Turn(owner, queue));
    for (let open = turns; open.length > 0; open = open.filter((turn) => !turn.isOver)) {
      for (const turn of open) {
        const waiting = turn.next(isFirst, fits);
        if (waiting === undefined) continue;
        bytes += waiting.bytes;
        batch.push(waiting);
      }
    }
    // Who had the first turn now has the last one next time.
    this.#queues.clear();
    for (const turn of [...turns.slice(1), ...turns.slice(0, 1)]) {
      const left = turn.left();
      if (left.length > 0) this.#queues.set(turn.owner, left);
    }
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

/** One owner's way through its queue while a batch is put together. */
class Turn<Waiting> {
  readonly owner: string;
  readonly #queue: readonly Waiting[];
  /** Stay, as their record is in the batch already. */
  readonly #passedOver: Waiting[] = [];
  #at = 0;
  #over = false;

  constructor(owner: string, queue: readonly Waiting[]) {
    this.owner = owner;
    this.#queue = queue;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The next one that may ride; undefined, and the turn is over, when there is none or it does not fit. */
  next(isFirst: (waiting: Waiting) => boolean, fits: (waiting: Waiting) => boolean): Waiting | undefined {
    for (; this.#at < this.#queue.length; this.#at += 1) {
      const waiting = this.#queue[this.#at] as Waiting;
      if (!isFirst(waiting)) {
        this.#passedOver.push(waiting);
        continue;
      }
      if (!fits(waiting)) break;
      this.#at += 1;
      return waiting;
    }
    this.#over = true;
    return undefined;
  }

  left(): Waiting[] {
    return [...this.#passedOver, ...this.#queue.slice(this.#at)];
  }
}
