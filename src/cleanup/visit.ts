import { sampleOf, type DrawnPages, type PageCount, type Sample } from '../core/sample.js';
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
  #share = 0;

  constructor(partition: SweptPartition, random: Random) {
    this.#partition = partition;
    this.#draw = new PageDraw(partition.pageCount, random);
  }

  /** Of the last batch: expired rows, and results to strip, by all rows. */
  get share(): number {
    return this.#share;
  }

  get pagesLeft(): number {
    return this.#draw.left;
  }

  async sweep(pageCount: number, sweep: Sweep): Promise<void> {
    const pages = this.#draw.next(pageCount);
    const swept = await sweep({ partition: this.#partition.name, pages });
    if (swept === undefined) {
      this.#share = 0;
      return;
    }
    this.#share = shareOf(swept.counts);
    for (const [namespace, rows] of swept.removed) {
      this.#removed.set(namespace, (this.#removed.get(namespace) ?? 0) + rows);
    }
    this.#first ??= { time: swept.nowTime, drawnPages: pages.length, counts: swept.counts };
  }

  /** Undefined when no pages could be swept. */
  sample(): { readonly partition: string; readonly sample: Sample } | undefined {
    if (this.#first === undefined) return undefined;
    const { name, pageCount } = this.#partition;
    const pages = { ...this.#first, pageCount, visitedPages: this.#draw.drawn };
    return { partition: name, sample: sampleOf(pages, this.#removed) };
  }
}

function shareOf(counts: readonly PageCount[]): number {
  let rows = 0;
  let due = 0;
  for (const { live, expired, strippable } of counts) {
    rows += live + expired;
    due += expired + strippable;
  }
  return rows === 0 ? 0 : due / rows;
}
