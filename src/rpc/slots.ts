/**
 * Things that come and go all day, each in a slot of its own. Not a Set: one that is filled and emptied leaves tables that the
 * garbage collector keeps for a while, with all that was ever in them.
 */
export class Slots<Item extends object> implements Iterable<Item> {
  readonly #items: (Item | undefined)[] = [];
  readonly #free: number[] = [];

  /** Gives its slot. */
  add(item: Item): number {
    const slot = this.#free.pop() ?? this.#items.length;
    this.#items[slot] = item;
    return slot;
  }

  /** Whether it was still there. */
  remove(slot: number, item: Item): boolean {
    if (this.#items[slot] !== item) return false;
    this.#items[slot] = undefined;
    this.#free.push(slot);
    return true;
  }

  *[Symbol.iterator](): Iterator<Item> {
    for (const item of this.#items) if (item !== undefined) yield item;
  }
}
