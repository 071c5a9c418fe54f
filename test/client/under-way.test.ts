import { expect, test } from 'vitest';
import { UnderWay } from '../../src/client/under-way.js';

interface Call {
  readonly number: number;
}

let calls = 0;

function call(): Call {
  calls += 1;
  return { number: calls };
}

test('a call is taken once, by its own id', () => {
  const underWay = new UnderWay<Call>();
  const added = [call(), call(), call()];
  const ids = added.map((each) => underWay.add(each));
  expect(underWay.size).toBe(3);
  expect(underWay.take(ids[1]!)).toBe(added[1]);
  expect(underWay.take(ids[1]!)).toBeUndefined();
  expect(underWay.size).toBe(2);
  expect(underWay.takeAll()).toEqual([added[0], added[2]]);
  expect(underWay.size).toBe(0);
});

test('an answer that comes late finds nobody, also when another call has its place', () => {
  const underWay = new UnderWay<Call>();
  const early = underWay.add(call());
  underWay.takeAll();
  const next = call();
  const late = underWay.add(next);
  expect(late).not.toBe(early);
  expect(underWay.take(early)).toBeUndefined();
  expect(underWay.take(0)).toBeUndefined();
  expect(underWay.take(late)).toBe(next);
});

test('it is full with 4,096 calls, and has room again', () => {
  const underWay = new UnderWay<Call>();
  const ids = Array.from({ length: 4096 }, () => underWay.add(call()));
  expect(new Set(ids).size).toBe(4096);
  expect(underWay.isFull).toBe(true);
  underWay.take(ids[7]!);
  expect(underWay.isFull).toBe(false);
});
