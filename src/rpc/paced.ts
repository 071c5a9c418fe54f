/** Runs what it is given in the order it came, at most so much of it in one turn of the event loop and the rest in the next ones. */
export class Paced {
  readonly #perTurn: number;
  /** What this turn may still run. */
  #left: number;
  readonly #waiting: (() => void)[] = [];
  #turning = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
    this.#left = perTurn;
  }

  run(task: () => void): void {
    if (this.#left === 0) {
      this.#waiting.push(task);
      return;
    }
    this.#left -= 1;
    this.#turnSoon();
    task();
  }

  #turnSoon(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      const tasks = this.#waiting.splice(0, this.#perTurn);
      this.#left = this.#perTurn - tasks.length;
      if (tasks.length > 0) this.#turnSoon();
      for (const task of tasks) task();
    });
  }
}
