import type { Log } from '../telemetry/log.js';

/** How long what was written may take to reach its pipe, ms. */
const lingerMs = 500;

/**
 * Runs what `start` started until SIGINT or SIGTERM, then stops it; a second signal ends the process at once. Signals
 * during the start end it through `signal`.
 */
export async function untilStopped(
  log: Log,
  start: (signal: AbortSignal) => Promise<{ stop(): Promise<void> }>,
): Promise<void> {
  const starting = new AbortController();
  let onSignal = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    let signals = 0;
    onSignal = () => {
      signals += 1;
      if (signals > 1) process.exit(130);
      starting.abort();
      resolve();
    };
  });
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const running = await start(starting.signal);
    await stopped;
    log.info('draining; once more to stop at once');
    await running.stop();
    log.info('stopped');
    // A half-open connection to the database would keep the process until the kernel gives it up.
    setTimeout(() => process.exit(), lingerMs).unref();
  } catch (error) {
    if (!starting.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}
