import { sampleOf, type DrawnPages, type Sample } from '../core/sample.js';
import type { PageBatch, SweptPages, SweptPartition } from '../core/sweep-target.js';
import { PageDraw, type Random } from './pages.js';

/** Sweeps a batch; undefined when another process was at the partition. */
export type Sweep = (batch: PageBatch) => Promise<SweptPages | undefined>;

/** The random pages of one partition in one tick. */
export class Visit {
  readonly #partition: SweptPartition;
  readonly #draw: PageDraw;
  /** Of the first batch: how many more follow depends on what they find, so these alone tell what there is without bias. */
  #first: Pick<DrawnPages, 'time' | 'drawnPages' | 'counts'> | undefined;
  readonly #removed = new Map<string, number>();
  #visitedPages = 0;
  #rows = 0;
  #due = 0;

  constructor(partition: SweptPartition, random: Random) {
    this.#partition = partition;
    this.#draw = new PageDraw(partition.pageCount, random);
    if (partition.pageCount === 0) this.#first = { time: partition.nowTime, drawnPages: 0, counts: [] };
  }

  /**
   * Expired rows, and results to strip, by all rows seen so far. Of the last batch alone it would often be low by chance,
   * and a tick that ends at the first such batch leaves much more than the threshold behind.
   */
  get share(): number {
    return this.#rows === 0 ? 0 : this.#due / this.#rows;
  }

  get pagesLeft(): number {
    return this.#draw.left;
  }

  async sweep(pageCount: number, sweep: Sweep): Promise<void> {
    if (this.pagesLeft === 0) return;
    const pages = this.#draw.next(pageCount);
    const sampleTime = this.#first?.time;
    const batch = { partition: this.#partition.name, pages };
    const swept = await sweep(sampleTime === undefined ? batch : { ...batch, sampleTime });
    if (swept === undefined) {
      // The partition is left to who is at it.
      this.#due = 0;
      return;
    }
    this.#visitedPages += pages.length;
    for (const { live, expired, strippable } of swept.counts) {
      this.#rows += live + expired;
      this.#due += expired + strippable;
    }
    for (const [namespace, rows] of swept.removedOfSample ?? swept.removed) {
      this.#removed.set(namespace, (this.#removed.get(namespace) ?? 0) + rows);
    }
    this.#first ??= { time: swept.nowTime, drawnPages: pages.length, counts: swept.counts };
  }

  /** Undefined when no pages could be swept. */
  sample(): { readonly partition: string; readonly sample: Sample } | undefined {
    if (this.#first === undefined) return undefined;
    const { name, pageCount } = this.#partition;
    const pages = { ...this.#first, pageCount, visitedPages: this.#visitedPages };
    return { partition: name, sample: sampleOf(pages, this.#removed) };
  }
}
