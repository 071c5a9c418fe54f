/** Has a place in a queue, which the queue alone reads and writes. */
export interface Queued {
  place: number;
}

/** Calls in the order they came. One that nobody waits for any more leaves at once, however many there are: a flood times out together. */
export class SendQueue<Call extends Queued> {
  /** Undefined where one left. */
  readonly #calls: (Call | undefined)[] = [];
  /** Of the first of them. */
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
    let passed = 0;
    for (; passed < this.#calls.length; passed += 1) {
      const call = this.#calls[passed];
      if (call === undefined) continue;
      if (!take(call)) break;
      this.#size -= 1;
    }
    this.#calls.splice(0, passed);
    this.#firstPlace += passed;
  }

  takeAll(): Call[] {
    const all: Call[] = [];
    this.takeWhile((call) => all.push(call) > 0);
    return all;
  }
}
