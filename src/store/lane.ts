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
 */
export class Lane<Item, Answer> {
  readonly #options: LaneOptions<Item, Answer>;
  #waiting: Waiting<Item, Answer>[] = [];
  #waitingBytes = 0;
  #underWay = 0;
  #leaving = false;

  constructor(options: LaneOptions<Item, Answer>) {
    this.#options = options;
  }

  submit(item: Item): Promise<Answer> {
    const { maxWaiting, maxWaitingBytes, bytesOf } = this.#options;
    const bytes = bytesOf?.(item) ?? 0;
    if (this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes) {
      const text = `the store is behind by ${this.#waiting.length} calls (${this.#waitingBytes} bytes)`;
      return Promise.reject(new OncewardError('OVERLOADED', text, { retryAfterMs: 200 }));
    }
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, bytes, rider: boarding(), resolve, reject });
      this.#leaveSoon();
    });
  }

  #leaveSoon(): void {
    if (this.#leaving || this.#underWay >= this.#options.width || this.#waiting.length === 0) return;
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
    const share = Math.ceil(this.#waiting.length / (width - this.#underWay));
    const maxBatch = Math.min(this.#options.maxBatch, Math.max(share, leastShare));
    const records = new Set<string>();
    const batch: Waiting<Item, Answer>[] = [];
    const passedOver: Waiting<Item, Answer>[] = [];
    let bytes = 0;
    let next = 0;
    for (; next < this.#waiting.length && batch.length < maxBatch; next += 1) {
      const waiting = this.#waiting[next] as Waiting<Item, Answer>;
      const record = recordOf(waiting.item);
      if (records.has(record)) {
        passedOver.push(waiting);
        continue;
      }
      if (batch.length > 0 && bytes + waiting.bytes > maxBatchBytes) break;
      bytes += waiting.bytes;
      records.add(record);
      batch.push(waiting);
    }
    this.#waiting = [...passedOver, ...this.#waiting.slice(next)];
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
