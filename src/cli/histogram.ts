/** Equal steps per power of two: no value is told more than a thousandth too high. */
const steps = 1024;
/** µs; a latency above it (71 min) counts as this in percentiles, while `maxMs` stays exact. */
const mostUs = 2 ** 32 - 1;

/** Latencies in a fixed amount of memory, however many: log-linear, in µs. */
export class Histogram {
  // 22 powers of two above the first, which has its own steps and those of all that is below.
  readonly #counts = new Float64Array(23 * steps);
  #count = 0;
  #maxUs = 0;

  record(ms: number): void {
    const us = Math.max(0, Math.round(ms * 1000));
    const at = indexOf(Math.min(us, mostUs));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count += 1;
    this.#maxUs = Math.max(this.#maxUs, us);
  }

  get count(): number {
    return this.#count;
  }

  /** Undefined when nothing was recorded. */
  get maxMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#maxUs / 1000;
  }

  /** The latency, ms, that `percent` of all, to the nearest one, do not exceed; undefined when nothing was recorded. */
  percentileMs(percent: number): number | undefined {
    if (this.#count === 0) return undefined;
    let left = Math.max(1, Math.round((percent / 100) * this.#count));
    const at = this.#counts.findIndex((count) => (left -= count) <= 0);
    return Math.min(highestOf(at), this.#maxUs) / 1000;
  }
}

/** Up to 2,047 a value is its own index; above, each power of two is cut into as many steps, each twice as wide. */
function indexOf(us: number): number {
  const shift = Math.max(0, 21 - Math.clz32(us));
  return shift * steps + (us >>> shift);
}

/** The highest value with this index. */
function highestOf(index: number): number {
  const shift = Math.max(0, Math.floor(index / steps) - 1);
  return (index - shift * steps + 1) * 2 ** shift - 1;
}
