/** Has a bound on its time. */
interface Bounded {
  /** Its time is over. */
  overdue(): void;
}

/** How late it may be noticed that a time is over, ms: the shortest there is are 30 ms. */
const lateMs = 10;

/**
 * Bounds on the time of calls. One timer looks at all of them now and then: one for each call, set and cleared again, was a twentieth of
 * what a replay costs.
 */
export class Deadlines {
  readonly #calls: (Bounded | undefined)[] = [];
  /** Of the call in the slot, on `performance.now()`. */
  readonly #times: number[] = [];
  readonly #free: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Gives the slot to be left when the call needs no bound any more; one that is overdue has left it. */
  enter(call: Bounded, time: number): number {
    const slot = this.#free.pop() ?? this.#calls.length;
    this.#calls[slot] = call;
    this.#times[slot] = time;
    this.#timer ??= setTimeout(this.#look, lateMs);
    return slot;
  }

  leave(slot: number): void {
    this.#calls[slot] = undefined;
    this.#free.push(slot);
  }

  readonly #look = (): void => {
    const now = performance.now();
    this.#timer = undefined;
    const { length } = this.#calls;
    for (let slot = 0; slot < length; slot += 1) {
      const call = this.#calls[slot];
      if (call === undefined || (this.#times[slot] as number) > now) continue;
      this.leave(slot);
      call.overdue();
    }
    if (this.#free.length < this.#calls.length) this.#timer ??= setTimeout(this.#look, lateMs);
  };
}
