import type { LoadOrder } from './contestant.js';
import type { EntrantName, Started } from './entrants.js';
import { loadName, type Load } from './load.js';
import { emptyResults, type Measurement, type Results } from './results.js';

export interface Rounds {
  readonly loads: readonly Load[];
  /** After the warm-up round, which takes half the time. */
  readonly rounds: number;
  readonly durationMs: number;
}

/** All contestants under one load, then under the next; who goes first moves on with every round. */
export async function measureRounds(
  started: ReadonlyMap<EntrantName, Started>,
  takes: (name: EntrantName, load: Load) => boolean,
  { loads, rounds, durationMs }: Rounds,
): Promise<Results> {
  const names = [...started.keys()];
  const results = emptyResults(names, loads);
  for (let round = 0; round <= rounds; round += 1) {
    for (const load of loads) {
      const first = round % names.length;
      const turns = [...names.slice(first), ...names.slice(0, first)].filter((name) => takes(name, load));
      process.stdout.write(
        `${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}, ${loadName(load)}:\n `,
      );
      for (const name of turns) {
        const order = { ...load, durationMs: round === 0 ? durationMs / 2 : durationMs };
        const measurement = await measure(started.get(name)!, order);
        process.stdout.write(` ${name} ${Math.round(measurement.perSecond)}/s`);
        if (round > 0) results.add(name, load, measurement);
      }
      process.stdout.write('\n');
    }
  }
  return results;
}

export async function measure(
  { run, cpuMs, restless = [] }: Started,
  order: LoadOrder,
): Promise<Measurement> {
  const read = () => Object.entries(cpuMs).map(([name, used]) => [name, used()] as const);
  const signalRestless = (signal: NodeJS.Signals) => restless.forEach((pid) => process.kill(pid, signal));
  signalRestless('SIGCONT');
  const before = read();
  const report = await run(order);
  const per = (ms: number) => (ms / report.operations) * 1000;
  const others = read().map(
    ([name, used], i) => [name, per((used ?? NaN) - (before[i]?.[1] ?? NaN))] as const,
  );
  signalRestless('SIGSTOP');
  return {
    perSecond: report.perSecond,
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    cpu: { load: per(report.cpuMs), ...Object.fromEntries(others) },
  };
}
