import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Replayable } from '../../src/core/record.js';
import { ReplayLog, type LoggedReplay } from '../../src/coordinator/replay-log.js';

function replayOf(change: Partial<Replayable> = {}, encoded?: Buffer): LoggedReplay {
  const record = {
    operation: 'charge',
    fingerprint: { version: 3, digest: Buffer.from('digest') },
    attempt: 2,
    traceparent: '',
    finishTime: 1_700_000_000_000.125,
    resultExpireTime: Infinity,
    result: {
      payload: Buffer.from('paid'),
      payloadOmitted: false,
      code: 0,
      envelope: Buffer.from('envelope'),
    },
    ...change,
  };
  return { record, encoded };
}

/** Its bytes as one text, so that copies and originals compare. */
function textOf(replay: LoggedReplay | undefined): string {
  return JSON.stringify(replay, (_, value: unknown) =>
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : value === Infinity
        ? 'for ever'
        : value,
  );
}

describe('a replay comes back as it was put', () => {
  const result = { payload: undefined, payloadOmitted: false, code: 0, envelope: Buffer.alloc(0) };
  test.each<[string, LoggedReplay]>([
    ['usual', replayOf()],
    ['with its answer', replayOf({}, Buffer.from('answer'))],
    ['without fingerprint', replayOf({ fingerprint: undefined })],
    [
      'the largest fingerprint',
      replayOf({ fingerprint: { version: 2 ** 31 - 1, digest: Buffer.alloc(64, 1) } }),
    ],
    ['no payload', replayOf({ result })],
    ['an empty payload', replayOf({ result: { ...result, payload: Buffer.alloc(0) } })],
    ['a payload left out', replayOf({ result: { ...result, payloadOmitted: true } })],
    ['a failure', replayOf({ result: { ...result, code: 16, envelope: Buffer.from('no') } })],
    ['a large payload', replayOf({ result: { ...result, payload: randomBytes(100_000) } })],
    [
      'the longest texts',
      replayOf({ operation: 'o'.repeat(255), traceparent: 't'.repeat(55), attempt: 2 ** 31 }),
    ],
  ])('%s', (_, replay) => {
    const log = new ReplayLog(1_000_000, 8);
    const identity = `${'n'.repeat(63)}\0${'s'.repeat(255)}\0${'k'.repeat(255)}`;
    log.put(identity, replay);
    expect(textOf(log.get(identity))).toBe(textOf(replay));
    expect(log.get('other')).toBeUndefined();
  });
});

test('it is a copy: what is put later does not show in it', () => {
  const log = new ReplayLog(400, 8);
  log.put('a', replayOf());
  const found = log.get('a');
  const before = textOf(found);
  for (let i = 0; i < 20; i += 1) log.put(`b${i}`, replayOf({ operation: 'other' }));
  expect(log.get('a')).toBeUndefined();
  expect(textOf(found)).toBe(before);
});

test.each([
  { bytes: 2_000, entries: 1000 },
  { bytes: 50_000, entries: 16 },
  { bytes: 200_000, entries: 400 },
])(
  'gives what was put last or nothing, whatever was written over: $bytes bytes, $entries entries',
  (size) => {
    const log = new ReplayLog(size.bytes, size.entries);
    const put = new Map<string, string>();
    let found = 0;
    for (let i = 0; i < 20_000; i += 1) {
      const identity = `key-${Math.floor(Math.random() * 500)}`;
      const turn = Math.random();
      if (turn < 0.1) {
        log.remove(identity);
        put.delete(identity);
      } else if (turn < 0.5) {
        const payload = randomBytes(Math.floor(Math.random() ** 4 * 900));
        const replay = replayOf({
          attempt: i,
          result: { payload, payloadOmitted: false, code: 0, envelope: payload },
        });
        log.put(identity, replay);
        put.set(identity, textOf(replay));
      } else {
        const replay = log.get(identity);
        if (replay === undefined) continue;
        found += 1;
        expect(textOf(replay)).toBe(put.get(identity));
      }
    }
    expect(found).toBeGreaterThan(100);
    expect(log.bytes).toBeLessThanOrEqual(size.bytes);
    expect(log.entryCount).toBeLessThanOrEqual(size.entries);
  },
);

test('what was put last is there, up to half of the log', () => {
  const log = new ReplayLog(1000, 4);
  const put = (bytes: number) => {
    const payload = Buffer.alloc(bytes);
    log.put(
      'a',
      replayOf({ result: { payload, payloadOmitted: false, code: 0, envelope: Buffer.alloc(0) } }),
    );
  };
  for (let i = 0; i < 100; i += 1) {
    put(440);
    expect(log.get('a')).toBeDefined();
  }
  put(450);
  // The one before is gone too: it is not what the record holds.
  expect(log.get('a')).toBeUndefined();
});

test.each([
  [0, 100],
  [100_000, 0],
  [100_000, 3],
])('%i bytes and %i entries keep nothing', (bytes, entries) => {
  const log = new ReplayLog(bytes, entries);
  log.put('a', replayOf());
  log.remove('a');
  expect(log.get('a')).toBeUndefined();
  expect(log).toMatchObject({ entryCount: 0, bytes: 0 });
});
