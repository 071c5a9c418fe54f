import { expect, test } from 'vitest';
import { Paced } from '../../src/rpc/paced.js';

const turn = () => new Promise((done) => setImmediate(done));

/** The tasks that ran, by name. */
function pacedBy(perTurn: number) {
  const paced = new Paced(perTurn);
  const ran: string[] = [];
  const runAll = (names: string) => [...names].forEach((name) => paced.run(() => ran.push(name)));
  return { ran, runAll };
}

test('what a turn has room for runs at once, the rest in the next turns, in order', async () => {
  const { ran, runAll } = pacedBy(2);
  runAll('abcde');
  expect(ran.join('')).toBe('ab');
  await turn();
  expect(ran.join('')).toBe('abcd');
  await turn();
  expect(ran.join('')).toBe('abcde');
});

test('what comes later stays behind what waits, and has the room of its own turn', async () => {
  const { ran, runAll } = pacedBy(2);
  runAll('abc');
  await turn();
  expect(ran.join('')).toBe('abc');
  runAll('de');
  expect(ran.join('')).toBe('abcd');
  await turn();
  await turn();
  expect(ran.join('')).toBe('abcde');
  runAll('fg');
  expect(ran.join('')).toBe('abcdefg');
});
