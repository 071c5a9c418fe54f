import { OncewardError } from '../core/errors.js';
import type { KeyStore } from '../core/key-store.js';
import type { Namespace } from '../core/policy.js';

/** Names asked for that do not exist, remembered so that a caller with a typo does not reach the store each time. */
const maxUnknown = 1000;

/** The declared namespaces, kept in memory and renewed by Sync within a second of a change. */
export class Namespaces {
  readonly #store: KeyStore;
  #known = new Map<string, Namespace>();
  /** Names that were found, whatever was dropped since: a namespace is never removed. */
  readonly #declared = new Set<string>();
  #unknown = new Set<string>();
  /** Reads under way, which all who ask meanwhile share: after a change thousands of calls ask at once. */
  readonly #reads = new Map<string, Promise<Namespace | undefined>>();
  /** How often something was dropped. */
  #drops = 0;

  constructor(store: KeyStore) {
    this.#store = store;
  }

  async load(): Promise<void> {
    let all: readonly Namespace[];
    let drops: number;
    // What is dropped meanwhile may have been read as it was before.
    do {
      drops = this.#drops;
      all = await this.#store.listNamespaces();
    } while (drops !== this.#drops);
    this.#known = new Map(all.map((namespace) => [namespace.name, namespace]));
    for (const { name } of all) this.#declared.add(name);
  }

  get names(): readonly string[] {
    return [...this.#declared];
  }

  /** Whether it is declared, as far as memory tells. */
  has(name: string): boolean {
    return this.#declared.has(name);
  }

  /** What memory has of it: asked before `get`, which is a promise. */
  known(name: string): Namespace | undefined {
    return this.#known.get(name);
  }

  async get(name: string): Promise<Namespace> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const read = this.#unknown.has(name) ? undefined : await (this.#reads.get(name) ?? this.#read(name));
    if (read !== undefined) return read;
    throw new OncewardError('NAMESPACE_NOT_FOUND', 'the namespace was not declared; see Admin.PutNamespace');
  }

  /** Forgets what it knows of a name, and what is just being read of it; the next `get` reads it. */
  drop(name: string): void {
    this.#drops += 1;
    this.#known.delete(name);
    this.#unknown.delete(name);
    this.#reads.delete(name);
  }

  /** Forgets what it knows of all names. */
  dropAll(): void {
    this.#drops += 1;
    this.#known.clear();
    this.#unknown.clear();
    this.#reads.clear();
  }

  #read(name: string): Promise<Namespace | undefined> {
    const read = this.#store
      .readNamespace(name)
      .then((found) => {
        if (found !== undefined) this.#declared.add(name);
        // Else the name changed meanwhile, and what was read may be from before.
        if (this.#reads.get(name) === read) this.#remember(name, found);
        return found;
      })
      .finally(() => {
        if (this.#reads.get(name) === read) this.#reads.delete(name);
      });
    this.#reads.set(name, read);
    return read;
  }

  #remember(name: string, found: Namespace | undefined): void {
    if (found !== undefined) {
      this.#known.set(name, found);
      return;
    }
    if (this.#unknown.size >= maxUnknown) this.#unknown.clear();
    this.#unknown.add(name);
  }
}
