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

/** Counts since the start of the process. */
export class Counters {
  readonly #counts = new Map<CounterName, bigint>(counterNames.map((name) => [name, 0n]));

  add(name: CounterName): void {
    this.#counts.set(name, this.read(name) + 1n);
  }

  read(name: CounterName): bigint {
    return this.#counts.get(name) ?? 0n;
  }
}
