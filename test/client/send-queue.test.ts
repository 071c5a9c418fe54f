import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SendQueue } from '../../src/client/send-queue.js';

const action = fc.oneof(
  fc.record({ kind: fc.constant('push'), at: fc.nat() }),
  fc.record({ kind: fc.constant('remove'), at: fc.nat(20) }),
  fc.record({ kind: fc.constant('take'), at: fc.nat(5) }),
);

test('gives calls in their order, without those that left, whatever is done with it', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const queue = new SendQueue<{ readonly name: number; place: number }>();
      const all: { readonly name: number; place: number }[] = [];
      let expected: number[] = [];
      for (const { kind, at } of actions) {
        if (kind === 'push') {
          const call = { name: all.length, place: 0 };
          all.push(call);
          queue.push(call);
          expected.push(call.name);
        } else if (kind === 'remove') {
          // Also those that left, or were taken, before.
          const call = all[at];
          if (call === undefined) continue;
          expect(queue.has(call)).toBe(expected.includes(call.name));
          queue.remove(call);
          expected = expected.filter((name) => name !== call.name);
        } else {
          const taken: number[] = [];
          queue.takeWhile(({ name }) => taken.length < at && taken.push(name) > 0);
          expect(taken).toEqual(expected.splice(0, at));
        }
        expect(queue.size).toBe(expected.length);
      }
      expect(queue.takeAll().map(({ name }) => name)).toEqual(expected);
      expect(queue.size).toBe(0);
    }),
  );
});

test('a hundred thousand calls leave in any order', () => {
  const queue = new SendQueue<{ place: number }>();
  const calls = Array.from({ length: 100_000 }, () => ({ place: 0 }));
  for (const call of calls) queue.push(call);
  // From the end, where each would be the last that is found.
  for (const call of calls.toReversed()) queue.remove(call);
  expect(queue.takeAll()).toEqual([]);
});
