import { expect, test } from 'vitest';
import { Lane, type LaneOptions } from '../../src/store/lane.js';
import { until } from '../support/until.js';

interface Item {
  readonly record: string;
  readonly bytes?: number;
}

/** A lane whose statements end when the test says so. */
function scriptedLane(options: Partial<LaneOptions<Item, string>> = {}) {
  const batches: (readonly Item[])[] = [];
  const statements: PromiseWithResolvers<readonly (string | Error)[]>[] = [];
  const lane = new Lane<Item, string>({
    width: 1,
    maxBatch: 100,
    maxWaiting: 1000,
    maxBatchBytes: 1000,
    maxWaitingBytes: 10_000,
    recordOf: ({ record }) => record,
    bytesOf: ({ bytes = 0 }) => bytes,
    run: (items) => {
      batches.push(items);
      const statement = withResolvers<readonly (string | Error)[]>();
      statements.push(statement);
      return statement.promise;
    },
    ...options,
  });
  /** Ends a statement: each item is answered with its record's name, or as given. */
  const end = (index: number, answers = batches[index]!.map(({ record }): string | Error => record)) =>
    statements[index]!.resolve(answers);
  const names = () => batches.map((batch) => batch.map(({ record }) => record).join(''));
  return { lane, statements, end, names };
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** What is due in this turn of the event loop has happened after two more. */
async function turn(): Promise<void> {
  for (let i = 0; i < 2; i += 1) await new Promise((done) => setImmediate(done));
}

function submitAll(lane: Lane<Item, string>, records: string): Promise<string>[] {
  return [...records].map((record) => {
    const answer = lane.submit({ record });
    answer.catch(() => undefined);
    return answer;
  });
}

test('an idle lane leaves in the same turn of the event loop, with all that came in it', async () => {
  const { lane, end, names } = scriptedLane();
  const answers = submitAll(lane, 'abc');
  expect(names()).toEqual([]);
  await new Promise((done) => setImmediate(done));
  expect(names()).toEqual(['abc']);
  end(0);
  expect(await Promise.all(answers)).toEqual(['a', 'b', 'c']);
});

test('what comes while a statement is under way gathers for the next', async () => {
  const { lane, end, names } = scriptedLane();
  void Promise.allSettled(submitAll(lane, 'a'));
  await turn();
  void Promise.allSettled(submitAll(lane, 'b'));
  await turn();
  void Promise.allSettled(submitAll(lane, 'cd'));
  await turn();
  expect(names()).toEqual(['a']);
  end(0);
  await turn();
  expect(names()).toEqual(['a', 'bcd']);
});

test('no more statements are under way than the lane is wide', async () => {
  const { lane, end, names } = scriptedLane({ width: 2, maxBatch: 1 });
  void Promise.allSettled(submitAll(lane, 'abcd'));
  await turn();
  await turn();
  expect(names()).toEqual(['a', 'b']);
  end(1);
  await turn();
  expect(names()).toEqual(['a', 'b', 'c']);
  end(0);
  await turn();
  expect(names()).toEqual(['a', 'b', 'c', 'd']);
});

test('another statement leaves beside the one under way with half of a full batch', async () => {
  const { lane, names } = scriptedLane({ width: 2, maxBatch: 8 });
  void Promise.allSettled(submitAll(lane, 'a'));
  await turn();
  void Promise.allSettled(submitAll(lane, 'bcd'));
  await turn();
  expect(names()).toEqual(['a']);
  void Promise.allSettled(submitAll(lane, 'e'));
  await turn();
  expect(names()).toEqual(['a', 'bcde']);
});

test('what is enough for two statements is shared by them', async () => {
  const { lane, end, names } = scriptedLane({ width: 2, maxBatch: 8 });
  void Promise.allSettled(submitAll(lane, 'abcdefghi'));
  await turn();
  expect(names()).toEqual(['abcde', 'fghi']);
  end(0);
  end(1);
  await turn();
  void Promise.allSettled(submitAll(lane, 'jklmnop'));
  await turn();
  expect(names().slice(2)).toEqual(['jklmnop']);
});

test('an item does not wait for long beside a statement that hangs', async () => {
  const { lane, names } = scriptedLane({ width: 2 });
  void Promise.allSettled(submitAll(lane, 'a'));
  await turn();
  void Promise.allSettled(submitAll(lane, 'b'));
  await until('b left', () => names().length === 2);
  expect(names()).toEqual(['a', 'b']);
});

test('a batch carries at most so many items', async () => {
  const { lane, end, names } = scriptedLane({ maxBatch: 3 });
  void Promise.allSettled(submitAll(lane, 'abcde'));
  await turn();
  end(0);
  await turn();
  expect(names()).toEqual(['abc', 'de']);
});

test('a batch carries at most so many bytes, but always an item', async () => {
  const { lane, end, names } = scriptedLane({ maxBatchBytes: 100 });
  for (const [record, bytes] of [
    ['a', 60],
    ['b', 41],
    ['c', 500],
    ['d', 1],
  ] as const) {
    void lane.submit({ record, bytes });
  }
  await turn();
  for (const batch of [0, 1, 2]) {
    end(batch);
    await turn();
  }
  expect(names()).toEqual(['a', 'b', 'c', 'd']);
});

test('a record is in a batch once; its next item rides the next batch, in order', async () => {
  const { lane, end, names } = scriptedLane();
  const answers = submitAll(lane, 'abacab');
  await turn();
  end(0, ['a1', 'b1', 'c1']);
  await turn();
  end(1, ['a2', 'b2']);
  await turn();
  end(2, ['a3']);
  expect(names()).toEqual(['abc', 'ab', 'a']);
  expect(await Promise.all(answers)).toEqual(['a1', 'b1', 'a2', 'c1', 'a3', 'b2']);
});

test('a full lane refuses with OVERLOADED and when to come again, and takes items again later', async () => {
  const { lane, end } = scriptedLane({ maxWaiting: 4 });
  void Promise.allSettled(submitAll(lane, 'ab'));
  const refused = { reason: 'OVERLOADED', retryAfterMs: 200 };
  await expect(lane.submit({ record: 'c' })).rejects.toMatchObject(refused);
  await turn();
  // Under way does not count as waiting.
  void Promise.allSettled(submitAll(lane, 'de'));
  await expect(lane.submit({ record: 'f' })).rejects.toMatchObject(refused);
  end(0);
  await turn();
  void lane.submit({ record: 'g' });
  end(1);
  await turn();
});

test('a lane full of bytes refuses too, and counts them down as they leave', async () => {
  const { lane, end } = scriptedLane({ maxWaitingBytes: 200, maxBatchBytes: 60 });
  void lane.submit({ record: 'a', bytes: 60 });
  void lane.submit({ record: 'b', bytes: 40 });
  await expect(lane.submit({ record: 'c', bytes: 1 })).rejects.toMatchObject({ reason: 'OVERLOADED' });
  await turn();
  const taken = lane.submit({ record: 'c', bytes: 60 });
  await expect(lane.submit({ record: 'd', bytes: 1 })).rejects.toMatchObject({ reason: 'OVERLOADED' });
  end(0);
  await turn();
  end(1);
  await turn();
  end(2);
  expect(await taken).toBe('c');
});

test('an owner may have as many waiting as there is room left, so others find some', async () => {
  const { lane, end } = scriptedLane({ maxWaiting: 12, ownerOf: ({ record }) => record.slice(0, 1) });
  const submit = (owner: string, count: number) =>
    Array.from({ length: count }, (_, i) => lane.submit({ record: `${owner}${i}` }));
  const flood = Promise.allSettled(submit('a', 20));
  const others = ['b', 'c', 'd'].map((owner) => Promise.all(submit(owner, 1)));
  const later = Promise.allSettled(submit('a', 1));
  await turn();
  end(0);
  expect(await Promise.all(others)).toEqual([['b0'], ['c0'], ['d0']]);
  expect((await flood).map(({ status }) => status).lastIndexOf('fulfilled')).toBe(5);
  expect((await later).map(({ status }) => status)).toEqual(['rejected']);
});

test("one item's error is its own; a statement's error is everybody's; the lane goes on after both", async () => {
  const { lane, statements, end } = scriptedLane();
  const [a, b, c] = submitAll(lane, 'abc');
  await turn();
  end(0, ['a', new Error('poisoned'), 'c']);
  expect(await a).toBe('a');
  await expect(b).rejects.toThrow('poisoned');
  expect(await c).toBe('c');
  const failing = submitAll(lane, 'de');
  await turn();
  statements[1]!.reject(new Error('connection lost'));
  for (const answer of failing) await expect(answer).rejects.toThrow('connection lost');
  const last = lane.submit({ record: 'f' });
  await turn();
  end(2);
  expect(await last).toBe('f');
});

test('owners take turns, and each goes in its own order', async () => {
  const { lane, end, names } = scriptedLane({ maxBatch: 4, ownerOf: ({ record }) => record.slice(0, 1) });
  const flood = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map((record) => lane.submit({ record }));
  const others = ['b0', 'b1', 'c0'].map((record) => lane.submit({ record }));
  await turn();
  expect(names()).toEqual(['a0b0c0a1']);
  end(0);
  await turn();
  // Whoever was first is last now.
  expect(names()[1]).toBe('b1a2a3a4');
  end(1);
  await turn();
  end(2);
  expect(await Promise.all([...flood, ...others])).toEqual([
    ...['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6'],
    ...['b0', 'b1', 'c0'],
  ]);
});

test('an owner with nothing else than records that ride already does not hold up the others', async () => {
  const { lane, end, names } = scriptedLane({ ownerOf: ({ record }) => record });
  const answers = ['a', 'a', 'b', 'b', 'c'].map((record) => lane.submit({ record }));
  await turn();
  end(0);
  await turn();
  end(1);
  expect(await Promise.all(answers)).toEqual(['a', 'a', 'b', 'b', 'c']);
  expect(names()).toEqual(['abc', expect.stringMatching(/^(ab|ba)$/)]);
});
