import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { answerBatch } from '../../src/rpc/batch.js';
import { until } from '../support/until.js';
import { caller } from '../support/begins.js';

const mebibyte = 1024 * 1024;

test('answers that do not fit into their batch are not kept until the last one comes', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const count = 40;
  const made: WeakRef<Uint8Array>[] = [];
  let answerLast: () => void = () => undefined;
  const last = new Promise<void>((resolve) => (answerLast = resolve));
  const calls = Array.from({ length: count }, (_, i) => ({ id: BigInt(i), request: undefined }));
  const answered = answerBatch(
    async ({ id }) => {
      if (id === BigInt(count - 1)) await last;
      const response = Buffer.alloc(mebibyte);
      made.push(new WeakRef(response));
      return { id, response };
    },
    { calls },
    caller,
  );
  await until('all others are answered', () => made.length === count - 1);
  await turn();
  collectGarbage();
  const kept = made.filter((answer) => answer.deref() !== undefined);
  answerLast();
  expect((await answered).map(({ id }) => id)).toEqual(calls.map(({ id }) => id));
  expect(kept.length).toBeLessThanOrEqual(4);
});
