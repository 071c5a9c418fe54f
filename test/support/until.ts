import { setTimeout as pause } from 'node:timers/promises';

/**
 * Polls until the condition gives something true, and gives that back; a condition that throws counts as not yet. The
 * deadline only bounds a failing test.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  let reason: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      reason = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: reason });
    await pause(5);
  }
}
