/** tsx sends a signal again that it believes unheard; one that comes later is impatience, ms. */
const resentMs = 1000;

/** Asks for a step to be taken at the end; the last asked for comes first. */
export type Undo = (step: () => unknown) => Promise<void>;

/**
 * Runs the body; at its end, in whatever way, and at Ctrl-C what it asked to undo is undone. A body that is interrupted fails by
 * itself, because what it uses is gone, or at the next thing it starts.
 */
export async function withUndo(body: (undo: Undo) => Promise<void>): Promise<void> {
  const steps: (() => unknown)[] = [];
  const interruption = new AbortController();
  const undoRest = async () => {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await step();
      } catch (error) {
        console.error(error);
      }
    }
  };
  let undone = Promise.resolve();
  const undoAll = () => (undone = undone.then(undoRest));
  let interruptedTime = 0;
  const interrupt = () => {
    if (!interruption.signal.aborted) {
      interruption.abort();
      interruptedTime = performance.now();
      process.stdout.write('\nstopping\n');
      void undoAll();
    } else if (performance.now() - interruptedTime > resentMs) process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  try {
    await body(async (step) => {
      steps.push(step);
      if (!interruption.signal.aborted) return;
      await undoAll();
      throw new Error('interrupted');
    });
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await undoAll();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
    if (interruption.signal.aborted) process.exit(130);
  }
}
