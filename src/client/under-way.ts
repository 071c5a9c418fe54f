/** Calls under way at once. */
const slots = 4096;
/** Ids start anew after so many calls for each slot; a call does not stay that long. */
const rounds = 2 ** 40;

/**
 * Calls that wait for an answer, by the id the stream knows them by. Not a Map: one that is filled and emptied all day leaves tables
 * that the garbage collector keeps for a while, with all that was ever in them.
 */
export class UnderWay<Call> {
  readonly #calls: (Call | undefined)[] = [];
  /** Of the call in the slot; 0 in an empty one. */
  readonly #ids: number[] = [];
  readonly #free: number[] = [];
  #round = 0;

  get size(): number {
    return this.#calls.length - this.#free.length;
  }

  get isFull(): boolean {
    return this.size === slots;
  }

  /** Gives the call's id, which no other call of these had. */
  add(call: Call): number {
    const slot = this.#free.pop() ?? this.#calls.length;
    this.#round = (this.#round % rounds) + 1;
    const id = this.#round * slots + slot;
    this.#calls[slot] = call;
    this.#ids[slot] = id;
    return id;
  }

  /** Undefined when it is not under way any more. */
  take(id: number): Call | undefined {
    const slot = id % slots;
    if (this.#ids[slot] !== id) return undefined;
    const call = this.#calls[slot];
    this.#calls[slot] = undefined;
    this.#ids[slot] = 0;
    this.#free.push(slot);
    return call;
  }

  takeAll(): Call[] {
    const all: Call[] = [];
    for (const id of this.#ids) {
      const call = id === 0 ? undefined : this.take(id);
      if (call !== undefined) all.push(call);
    }
    return all;
  }
}
