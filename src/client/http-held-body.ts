export type HeldBody =
  | { readonly kind: 'held'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'flows';
      /** All of the body. It ends by `close`. */
      readonly stream: ReadableStream<Uint8Array>;
      /** Resolves when the body has come to its end, whether or not somebody takes it; rejects when it broke. */
      readonly ended: Promise<void>;
      readonly close: () => void;
      /** Ends it as broken, once it has come to its end. */
      readonly break: (error: unknown) => void;
    };

/** Reads a body up to a bound; a larger one is to be read on by whoever takes it. `inside` is where reading runs. */
export async function heldBody(
  body: ReadableStream<Uint8Array> | null,
  boundBytes: number,
  inside: <T>(read: () => T) => T,
): Promise<HeldBody> {
  const chunks: Uint8Array[] = [];
  if (body === null) return { kind: 'held', bytes: Buffer.alloc(0) };
  const reader = body.getReader();
  let bytes = 0;
  while (bytes <= boundBytes) {
    const { value } = await reader.read();
    if (value === undefined) return { kind: 'held', bytes: Buffer.concat(chunks) };
    chunks.push(value);
    bytes += value.length;
  }
  return flowing(chunks, () => inside(() => reader.read()));
}

type Flowing = Extract<HeldBody, { kind: 'flows' }>;

function flowing(
  chunks: Uint8Array[],
  read: () => Promise<{ readonly value?: Uint8Array | undefined }>,
): Flowing {
  const verdict = promised();
  const ended = promised();
  let left = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const value = chunks.shift() ?? (await read()).value;
        if (value !== undefined) {
          if (!left) controller.enqueue(value);
          return;
        }
        ended.resolve();
      } catch (error) {
        ended.reject(error);
        throw error;
      }
      await verdict.promise;
      if (!left) controller.close();
    },
    // A caller that left takes no more; the body goes on to its end without it.
    cancel: async () => {
      left = true;
      try {
        while ((await read()).value !== undefined);
        ended.resolve();
      } catch (error) {
        ended.reject(error);
      }
    },
  });
  return { kind: 'flows', stream, ended: ended.promise, close: verdict.resolve, break: verdict.reject };
}

function promised() {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  // Whoever takes it learns of it; else it is nobody's.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
