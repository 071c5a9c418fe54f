import { schedule as scheduleCron, validate } from 'node-cron';

/** Whether it is a cron expression, of five fields or six with seconds in front. */
export function isCronExpression(text: string): boolean {
  return validate(text);
}

export interface Schedule {
  /** Between two runs, ms. */
  readonly intervalMs: number;
  readonly stop: () => void;
}

/** By how much of the interval a run may come late, so that coordinators don't all ask the database at once. */
const jitterRatio = 0.1;

/** What node-cron says of runs it missed concerns nobody: the next one does their work. */
const silent = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  debug: () => undefined,
};

/** Runs it at the times of the expression, never twice at once. `run` must not throw. */
export function startSchedule(expression: string, run: () => Promise<void>): Schedule {
  const probe = scheduleCron(expression, () => undefined, { logger: silent });
  const [first, second] = probe.getNextRuns(2);
  void probe.destroy();
  const intervalMs = (second?.getTime() ?? Infinity) - (first?.getTime() ?? 0);
  const task = scheduleCron(expression, run, {
    noOverlap: true,
    maxRandomDelay: intervalMs * jitterRatio,
    suppressMissedWarning: true,
    unref: true,
    logger: silent,
  });
  return { intervalMs, stop: () => void task.destroy() };
}
