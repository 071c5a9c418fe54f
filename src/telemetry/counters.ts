/** Every counter of a coordinator process. */
export const counterNames = [
  'begin.execute',
  'begin.execute.takeover',
  'begin.execute.repeated',
  'begin.replay',
  'begin.replay.cached',
  'begin.in_progress',
  'begin.indeterminate',
  'begin.result_expired',
  'begin.mismatch',
  'begin.fingerprint_incomparable',
  'begin.waited',
  'complete.done',
  'complete.already',
  'complete.payload_omitted',
  'fail.final',
  'fail.retryable',
  'fail.already',
  'heartbeat.extended',
  'lease_lost',
  'result_conflict',
] as const;
export type CounterName = (typeof counterNames)[number];

/** Namespaces that are counted by name; what comes in further ones is counted under `otherNamespaces`. */
const maxNamespaces = 100;
export const otherNamespaces = '_other';

/** Counts since the start of the process. */
export class Counters {
  readonly #counts = new Map<CounterName, bigint>(counterNames.map((name) => [name, 0n]));
  readonly #namespaces = new Set<string>();
  readonly #countsByNamespace = new Map<CounterName, Map<string, bigint>>();

  /** With the namespace, which must exist, it is counted by it too. */
  add(name: CounterName, namespace?: string): void {
    this.#counts.set(name, this.read(name) + 1n);
    if (namespace !== undefined) this.#addByNamespace(name, namespace);
  }

  read(name: CounterName): bigint {
    return this.#counts.get(name) ?? 0n;
  }

  /** Empty for a counter that is not counted by namespace, and before its first count. */
  readByNamespace(name: CounterName): ReadonlyMap<string, bigint> {
    return this.#countsByNamespace.get(name) ?? new Map<string, bigint>();
  }

  #addByNamespace(name: CounterName, namespace: string): void {
    if (this.#namespaces.size < maxNamespaces) this.#namespaces.add(namespace);
    const counted = this.#namespaces.has(namespace) ? namespace : otherNamespaces;
    const counts = this.#countsByNamespace.get(name) ?? new Map<string, bigint>();
    counts.set(counted, (counts.get(counted) ?? 0n) + 1n);
    this.#countsByNamespace.set(name, counts);
  }
}
