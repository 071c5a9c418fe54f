/** How many keys are remembered at most: enough that duplicates rarely meet. */
const most = 10_000;

/** The latest finished keys, each for `keptMs`: one that retention has forgotten would be executed again. */
export class FinishedKeys {
  readonly #keptMs: number;
  /** A ring: what comes after the newest is overwritten. */
  readonly #ring: { readonly key: string; readonly finishTime: number }[] = [];
  #oldest = 0;
  #size = 0;

  constructor(keptMs: number) {
    this.#keptMs = keptMs;
  }

  add(key: string, now: number): void {
    this.#ring[(this.#oldest + this.#size) % most] = { key, finishTime: now };
    if (this.#size < most) this.#size += 1;
    else this.#oldest = (this.#oldest + 1) % most;
  }

  /** One of them by chance; undefined when there is none. */
  draw(now: number, random: () => number): string | undefined {
    while (this.#size > 0 && (this.#ring[this.#oldest]?.finishTime ?? 0) <= now - this.#keptMs) {
      this.#oldest = (this.#oldest + 1) % most;
      this.#size -= 1;
    }
    if (this.#size === 0) return undefined;
    return this.#ring[(this.#oldest + Math.floor(random() * this.#size)) % most]?.key;
  }
}
