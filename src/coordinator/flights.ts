import type { Seen } from '../core/record.js';

/**
 * Single flight: while one Begin of a record is on its way to the store, the others of this process wait for what it
 * finds, and decide on that. Hundreds of Begins at once cost one claim.
 */
export class Flights {
  readonly #underWay = new Map<string, Promise<Seen | undefined>>();

  /** What the flight under way found; undefined at once when there is none, or when it found nothing to decide on. */
  join(identity: string): Promise<Seen | undefined> | undefined {
    return this.#underWay.get(identity);
  }

  /** Flies; others join until it lands. Only one flight of a record may be under way. */
  async fly<T extends { readonly seen: Seen | undefined }>(
    identity: string,
    work: () => Promise<T>,
  ): Promise<T> {
    const flight = work();
    const seen = flight.then((landed) => landed.seen);
    // Who joins gets the failure too; without a joiner it must not be unhandled.
    seen.catch(() => undefined);
    this.#underWay.set(identity, seen);
    try {
      return await flight;
    } finally {
      this.#underWay.delete(identity);
    }
  }
}
