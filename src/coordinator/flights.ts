/** After so many flights the Map is left to those it has: before what was in it can get old, which takes some hundred calls at any rate. */
const flightsOfMap = 200;

/**
 * Begins on their way to the store, by identity. Not one Map: when one that is filled and emptied all day grows anew, its old
 * table names the next, and one that got old keeps all of them, with what was in them, from being collected for a while.
 */
export class Flights<Flight> {
  #map = new Map<string, Flight>();
  /** The one before, until its flights have landed. */
  #last = new Map<string, Flight>();
  #added = 0;

  get(identity: string): Flight | undefined {
    return this.#map.get(identity) ?? (this.#last.size === 0 ? undefined : this.#last.get(identity));
  }

  add(identity: string, flight: Flight): void {
    if (this.#added >= flightsOfMap && this.#last.size === 0) {
      this.#added = 0;
      this.#last = this.#map;
      this.#map = new Map();
    }
    this.#added += 1;
    this.#map.set(identity, flight);
  }

  remove(identity: string): void {
    if (!this.#map.delete(identity)) this.#last.delete(identity);
  }
}
