/** Asks for a step to be taken at the end; the last asked for comes first. */
export type Undo = (step: () => unknown) => Promise<void>;

/**
 * Runs the body; at its end, in whatever way, and at Ctrl-C what it asked to undo is undone. A body that is interrupted fails by
 * itself, because what it uses is gone, or at the next thing it starts.
 */
export async function withUndo(body: (undo: Undo) => Promise<void>): Promise<void> {
  const steps: (() => unknown)[] = [];
  const interruption = new AbortController();
  const undoAll = async () => {
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await step();
      } catch (error) {
        console.error(error);
      }
    }
  };
  // A second Ctrl-C ends us at once.
  const interrupt = () => {
    interruption.abort();
    process.stdout.write('\nstopping\n');
    void undoAll();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
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
