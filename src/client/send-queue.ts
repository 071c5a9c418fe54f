/** Has a place in a queue, which the queue alone reads and writes. */
export interface Queued {
  place: number;
}

/** Calls in the order they came. One that nobody waits for any more leaves at once, however many there are: a flood times out together. */
export class SendQueue<Call extends Queued> {
  /** Undefined where one left, or was taken. */
  readonly #calls: (Call | undefined)[] = [];
  /** How many were taken that are still in there: to move up all others each time would be dear, when many wait. */
  #taken = 0;
  /** Of the first that is in there. */
  #firstPlace = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(call: Call): void {
    call.place = this.#firstPlace + this.#calls.length;
    this.#calls.push(call);
    this.#size += 1;
  }

  has(call: Call): boolean {
    return this.#calls[call.place - this.#firstPlace] === call;
  }

  remove(call: Call): void {
    if (!this.has(call)) return;
    this.#calls[call.place - this.#firstPlace] = undefined;
    this.#size -= 1;
  }

  /** Takes calls until there are none, or one is refused. */
  takeWhile(take: (call: Call) => boolean): void {
    for (; this.#taken < this.#calls.length; this.#taken += 1) {
      const call = this.#calls[this.#taken];
      if (call === undefined) continue;
      if (!take(call)) break;
      this.#calls[this.#taken] = undefined;
      this.#size -= 1;
    }
    if (this.#taken * 2 < this.#calls.length) return;
    this.#calls.splice(0, this.#taken);
    this.#firstPlace += this.#taken;
    this.#taken = 0;
  }

  takeAll(): Call[] {
    const all: Call[] = [];
    this.takeWhile((call) => all.push(call) > 0);
    return all;
  }
}
