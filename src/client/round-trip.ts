/**
 * How long answers take: one call under way is timed at a time. The shorter of the last two times counts, so that a single stall
 * does not make all later calls look late.
 */
export class RoundTrip<Call extends object> {
  #timed: Call | undefined;
  #sentTime = 0;
  #lastMs = 0;
  #ms = 0;

  /** ms; 0 until two calls were answered. */
  get ms(): number {
    return this.#ms;
  }

  sent(call: Call, now: number): void {
    if (this.#timed !== undefined) return;
    this.#timed = call;
    this.#sentTime = now;
  }

  answered(call: Call): void {
    if (call !== this.#timed) return;
    const ms = performance.now() - this.#sentTime;
    this.#ms = Math.min(ms, this.#lastMs);
    this.#lastMs = ms;
    this.#timed = undefined;
  }

  /** There will be no answer to this call; default: to none that is under way. */
  lost(call?: Call): void {
    if (call === undefined || call === this.#timed) this.#timed = undefined;
  }
}
