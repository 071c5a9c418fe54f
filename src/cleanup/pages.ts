/** A number from 0 up to but not including 1. */
export type Random = () => number;

/**
 * Draws pages at random, none twice: the same for every page, whatever was drawn before. Cheap for few of many pages and
 * for all of few.
 */
export class PageDraw {
  readonly #pageCount: number;
  readonly #random: Random;
  /** Of a shuffle under way: what stands at a place that was already swapped; the others stand at their own. */
  readonly #moved = new Map<number, number>();
  #drawn = 0;

  constructor(pageCount: number, random: Random) {
    this.#pageCount = pageCount;
    this.#random = random;
  }

  get drawn(): number {
    return this.#drawn;
  }

  get left(): number {
    return this.#pageCount - this.#drawn;
  }

  /** So many pages, or what is left, in physical order. */
  next(count: number): readonly number[] {
    const pages: number[] = [];
    while (pages.length < count && this.left > 0) pages.push(this.#one());
    return pages.sort((a, b) => a - b);
  }

  #one(): number {
    const place = this.#drawn + Math.floor(this.#random() * this.left);
    const page = this.#moved.get(place) ?? place;
    this.#moved.set(place, this.#moved.get(this.#drawn) ?? this.#drawn);
    this.#moved.delete(this.#drawn);
    this.#drawn += 1;
    return page;
  }
}

/** One of the items, with a chance in proportion to its weight; the weights' sum must be above 0. */
export function pickByWeight<T>(items: readonly T[], weightOf: (item: T) => number, random: Random): T {
  const sum = items.reduce((total, item) => total + weightOf(item), 0);
  let at = random() * sum;
  const picked = items.find((item) => (at -= weightOf(item)) < 0) ?? items.at(-1);
  if (picked === undefined) throw new Error('nothing to pick from');
  return picked;
}

/** All of them, in random order. */
export function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
