import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toRetention } from '../../src/client/duration.js';
import { birthTimeOf } from '../../src/core/key.js';
import { startBenchTarget, type BenchTarget } from '../support/bench-target.js';

let target: BenchTarget;
/** A new one for each test. */
let namespace: string;
beforeAll(async () => {
  target = await startBenchTarget();
});
afterAll(() => target.stop());
beforeEach(async () => {
  namespace = await target.namespace({ resultRetention: toRetention(1000) });
});

const bench = (args: readonly string[], io = {}) => target.run(['--namespace', namespace, ...args], io);
const report = (...args: readonly string[]) => target.report('--namespace', namespace, ...args);
const records = () => target.records(namespace);

describe('onceward bench', () => {
  test('says what it leaves behind, then what it measured', async () => {
    const { code, stdout, stderr } = await bench(['--duration', '300ms']);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr:
        `writing to namespace ${namespace} of ${target.address} for 300ms; ` +
        'its records are not removed afterwards, they stay for 1m\n',
    });
    expect(stdout).toMatch(
      /^operations\/s +\d+ \(\d+ in 0\.\d s\)\nexecuted +\d+\nreplayed +0\nin progress +0\nerrors +0\n\n/,
    );
    expect(stdout).toMatch(/^LATENCY, MS +P50 +P90 +P99 +P99\.9 +MAX$/m);
    expect(stdout).toMatch(/^check \(Begin\)( +\d+\.\d\d){5}$/m);
    expect(stdout).toMatch(/^cycle \(Begin and Complete\)( +\d+\.\d\d){5}$/m);
  });

  test('executes and stores all that it counts', async () => {
    const measured = await report('--duration', '300ms');
    const { executed, operations, operationsPerSecond, elapsedMs, check, cycle } = measured;
    expect(measured).toMatchObject({
      interrupted: false,
      replayed: 0,
      inProgress: 0,
      notBegun: 0,
      errors: {},
    });
    const rows = await records();
    // One went before, to connect.
    expect([executed, operations]).toEqual([rows.length - 1, rows.length - 1]);
    expect(executed).toBeGreaterThan(0);
    for (const row of rows) {
      expect(row).toMatchObject({
        state: 'COMPLETED',
        operation: 'onceward-bench',
        keptMs: 60_000,
        bytes: 256,
      });
    }
    expect(elapsedMs).toBeGreaterThanOrEqual(300);
    expect(operationsPerSecond).toBeCloseTo((operations / elapsedMs) * 1000, 6);
    for (const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } of [check, cycle]) {
      const order = [0, p50Ms, p90Ms, p99Ms, p999Ms, maxMs];
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
    expect(cycle.p50Ms).toBeGreaterThan(check.p50Ms);
  });

  test('has as many operations under way as it is told', async () => {
    // By Little's law, of what went through and how long it took.
    for (const inFlight of [1, 8]) {
      const { executed, elapsedMs, cycle } = await report(
        '--duration',
        '500ms',
        '--in-flight',
        String(inFlight),
      );
      expect((executed * cycle.p50Ms) / elapsedMs).toBeGreaterThan(inFlight * 0.3);
      expect((executed * cycle.p50Ms) / elapsedMs).toBeLessThan(inFlight * 1.2);
    }
  });

  test('replays the share it is told', async () => {
    const half = await report('--duration', '500ms', '--duplicates', '0.5', '--payload-bytes', '0');
    expect(half).toMatchObject({ inProgress: 0, errors: {} });
    expect(half.replayed / half.operations).toBeGreaterThan(0.3);
    expect(half.replayed / half.operations).toBeLessThan(0.7);
    const stored = (await records()).length;
    expect(half.executed).toBe(stored - 1000);

    const all = await report('--duration', '300ms', '--duplicates', '1', '--payload-bytes', '3000');
    expect(all).toMatchObject({ executed: 0, inProgress: 0, errors: {}, cycle: {} });
    expect(all.replayed).toBeGreaterThan(0);
    const added = (await records()).length - stored;
    expect(added).toBe(1000);
  });

  test('meets running keys with zipf, which is no error', async () => {
    const { executed, replayed, inProgress, errors, operations } = await report(
      ...['--duration', '1s', '--keys', 'zipf', '--in-flight', '512'],
    );
    expect(errors).toEqual({});
    expect(executed).toBe((await records()).length - 1);
    expect(replayed).toBeGreaterThan(0);
    expect(inProgress).toBeGreaterThan(0);
    expect(operations).toBe(executed + replayed + inProgress);
  });

  test('makes keys in the order that is asked for', async () => {
    await report('--duration', '100ms', '--keys', 'time-ordered');
    expect((await records()).filter(({ key }) => birthTimeOf(key) === undefined)).toEqual([]);
    namespace = await target.namespace();
    await report('--duration', '100ms', '--keys', 'random');
    expect((await records()).filter(({ key }) => birthTimeOf(key) !== undefined)).toEqual([]);
  });

  test('keeps to a rate', async () => {
    const measured = await report('--duration', '1s', '--rate', '100');
    expect(measured).toMatchObject({ executed: 100, notBegun: 0, errors: {} });
    expect(measured.elapsedMs).toBeGreaterThanOrEqual(1000);
  });

  test('counts latency from when an operation was due, and tells which were not begun', async () => {
    const { notBegun, executed, check } = await report(
      ...['--duration', '400ms', '--rate', '100000', '--in-flight', '1'],
    );
    expect(executed + notBegun).toBe(40_000);
    // All that were begun were due in the first moments, and the last was begun at the end.
    expect(check.maxMs).toBeGreaterThan(350);
    expect(check.p50Ms).toBeGreaterThan(100);
  });

  test('shows on a terminal how it goes, and wipes it away', async () => {
    const { code, stdout, stderr } = await bench(['--duration', '1200ms'], { isTTY: true });
    expect(code).toBe(0);
    expect(stdout).not.toContain('\r');
    const [, ...lines] = stderr.split('\n').at(-1)!.split('\r\x1b[K');
    expect(lines.pop()).toBe('');
    expect(lines.at(-1)).toMatch(/ [1-9]\d* operations\/s {2}check p99 \d/);
    for (const line of lines) {
      expect(line).toMatch(/^\d of 2 s {2}\d+ operations\/s {2}check p99 (-|\d+\.\d) ms {2}errors 0$/);
    }
  });
});

describe('retention', () => {
  test('is 60 s within what the namespace allows, and said', async () => {
    namespace = await target.namespace({ tombstoneRetention: toRetention(86_400_000 * 7) });
    const day = await bench(['--duration', '100ms']);
    expect(day.stderr).toContain(
      'they stay for 1d and as tombstones for 7d; for less: onceward namespace put bench',
    );
    expect((await records())[0]).toMatchObject({ keptMs: 86_400_000 });
    const short = { resultRetention: toRetention(1000), maxResultRetention: toRetention(5000) };
    namespace = await target.namespace(short);
    const { stderr } = await bench(['--duration', '100ms', '--json']);
    expect(JSON.parse(stderr)).toEqual({ notice: expect.stringMatching(/they stay for 5s$/) as string });
  });

  test('is what is asked for, or refused with the bounds', async () => {
    const asked = await bench(['--retention', '2h', '--duration', '100ms']);
    expect(asked.stderr).toContain('they stay for 2h;');
    expect((await records())[0]).toMatchObject({ keptMs: 7_200_000 });
    namespace = await target.namespace({ resultRetention: toRetention(1000) });
    for (const retention of ['999ms', '31d', 'forever']) {
      expect(await bench(['--retention', retention])).toEqual({
        code: 2,
        stdout: '',
        stderr: `error: --retention must be 1s to 30d in namespace ${namespace}\n`,
      });
    }
    expect(await records()).toEqual([]);
  });

  test('for ever has to be asked for', async () => {
    namespace = await target.namespace({ resultRetention: toRetention(Infinity) });
    const unasked = await bench(['--duration', '100ms']);
    expect(unasked).toMatchObject({ code: 2, stdout: '' });
    expect(unasked.stderr).toMatch(/^error: namespace \S+ keeps results for ever, .*--retention forever\n$/);
    expect(await records()).toEqual([]);
    const asked = await bench(['--duration', '100ms', '--retention', 'forever']);
    expect(asked.code).toBe(0);
    expect(asked.stderr).toContain('they stay for ever;');
  });
});
