import { namedNamespaces } from '../core/sample.js';
import { NamespaceLabels } from './namespace-labels.js';

/** Every counter of a coordinator process. */
export const counterNames = [
  'begin.execute',
  'begin.execute.takeover',
  'begin.execute.repeated',
  'begin.replay',
  'begin.replay.cached',
  'begin.in_progress',
  'begin.indeterminate',
  'begin.indeterminate.parked',
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

/** Counts since the start of the process, by namespace. */
export class Counters {
  readonly #labels = new NamespaceLabels();
  readonly #byNamespace = new Map<string, Map<CounterName, number>>();

  /**
   * Their counts are there from now on, as 0: who reads the series now and then does not see the first count of one that
   * begins with it. More than are counted by name are let be, so that the places go to those that are used.
   */
  expectNamespaces(namespaces: readonly string[]): void {
    if (namespaces.length <= namedNamespaces) for (const namespace of namespaces) this.#countsOf(namespace);
  }

  /** The namespace must exist: others may be anything, put into the wrong field. */
  add(name: CounterName, namespace: string): void {
    const counts = this.#byNamespace.get(namespace) ?? this.#countsOf(namespace);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }

  read(name: CounterName): number {
    let sum = 0;
    for (const count of this.readByNamespace(name).values()) sum += count;
    return sum;
  }

  /** Every namespace that was counted or expected, whatever of it was counted. */
  readByNamespace(name: CounterName): ReadonlyMap<string, number> {
    return new Map([...this.#byNamespace].map(([namespace, counts]) => [namespace, counts.get(name) ?? 0]));
  }

  #countsOf(namespace: string): Map<CounterName, number> {
    const label = this.#labels.of(namespace);
    const known = this.#byNamespace.get(label);
    if (known !== undefined) return known;
    const counts = new Map<CounterName, number>();
    this.#byNamespace.set(label, counts);
    return counts;
  }
}
