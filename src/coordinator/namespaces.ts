import { OncewardError } from '../core/errors.js';
import type { KeyStore } from '../core/key-store.js';
import type { Namespace } from '../core/policy.js';

/** Names asked for that do not exist, remembered so that a caller with a typo does not reach the store each time. */
const maxUnknown = 1000;

/** The declared namespaces, kept in memory and renewed by Sync within a second of a change. */
export class Namespaces {
  readonly #store: KeyStore;
  #known = new Map<string, Namespace>();
  #unknown = new Set<string>();
  /** Grows with every change, so that a read begun before one can't bring back the old policy. */
  #generation = 0;

  constructor(store: KeyStore) {
    this.#store = store;
  }

  async load(): Promise<void> {
    const generation = this.#generation;
    const all = await this.#store.listNamespaces();
    // What changed meanwhile is read when it is asked for.
    if (generation === this.#generation) this.#known = new Map(all.map((each) => [each.name, each]));
  }

  async get(name: string): Promise<Namespace> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const generation = this.#generation;
    const read = this.#unknown.has(name) ? undefined : await this.#store.readNamespace(name);
    if (read !== undefined) {
      if (generation === this.#generation) this.#known.set(name, read);
      return read;
    }
    if (this.#unknown.size >= maxUnknown) this.#unknown.clear();
    if (generation === this.#generation) this.#unknown.add(name);
    throw new OncewardError('NAMESPACE_NOT_FOUND', 'the namespace was not declared; see Admin.PutNamespace');
  }

  /** Forgets what it knows of a name; the next `get` reads it. */
  drop(name: string): void {
    this.#generation += 1;
    this.#known.delete(name);
    this.#unknown.delete(name);
  }
}
