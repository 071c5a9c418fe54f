import { once } from 'node:events';
import { startChild } from '../support/child.js';
import type { LoadOrder, LoadReport } from './contestant.js';

/** A contestant's process. */
export interface LoadGenerator {
  readonly pid: number;
  readonly order: (order: LoadOrder) => Promise<LoadReport>;
  /** Lets it end by itself, so that it writes its profile. */
  readonly stop: () => Promise<void>;
}

/** For a profile to be written, ms. */
const endPatienceMs = 20_000;

/** Beyond the time asked for, ms: a slow one has finished keys to make first. */
const orderPatienceMs = 180_000;

/** Starts `test/bench/<file>`, which takes orders. */
export function startLoadGenerator(
  file: string,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): LoadGenerator {
  const child = startChild([`test/bench/${file}`, ...args], { ipc: true, nodeFlags });
  // Not `ended`: a child whose channel we closed ourselves never says `close`.
  const exited = new Promise((resolve) => child.process.once('exit', resolve));
  return {
    pid: child.pid,
    order: async (order) => {
      const ended = exited.then(() => {
        throw new Error(`${file} ended; its error is above`);
      });
      child.process.send(order);
      const timeout = new AbortController();
      const patience = setTimeout(() => timeout.abort(), order.durationMs + orderPatienceMs);
      try {
        const reported = once(child.process, 'message', { signal: timeout.signal });
        const [report] = (await Promise.race([reported, ended])) as [LoadReport];
        return report;
      } catch (error) {
        if (!timeout.signal.aborted) throw error;
        throw new Error(`${file} does not answer; --only leaves it out`, { cause: error });
      } finally {
        clearTimeout(patience);
      }
    },
    stop: async () => {
      const { process } = child;
      if (process.exitCode !== null || process.signalCode !== null) return;
      // It may be one that stands still while others have their turn.
      child.signal('SIGCONT');
      if (process.connected) process.disconnect();
      const patience = setTimeout(() => child.signal('SIGKILL'), endPatienceMs);
      await exited;
      clearTimeout(patience);
    },
  };
}
