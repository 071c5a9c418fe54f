import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toRetention } from '../../src/client/duration.js';
import { startBenchTarget, type BenchReport, type BenchTarget } from '../support/bench-target.js';
import { said, startChild, type Child } from '../support/child.js';
import { runInProcess } from '../support/run-program.js';
import { until } from '../support/until.js';

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

const bench = (args: readonly string[]) => target.run(['--namespace', namespace, ...args]);
const records = () => target.records(namespace);

describe('what can not be', () => {
  test.each([
    [['--duration', '10'], /--duration .* It has no unit: say 10s or 10ms/],
    [['--duration', '99ms'], /--duration .* It must be 100ms to 1d/],
    [['--duration', '25h'], /--duration .* It must be 100ms to 1d/],
    [['--in-flight', '0'], /--in-flight .* It must be a whole number from 1 to 10000/],
    [['--in-flight', '10001'], /--in-flight .* It must be a whole number from 1 to 10000/],
    [['--rate', '0'], /--rate .* It must be a whole number from 1 to 1000000/],
    [['--rate', '1.5'], /--rate .* It must be a whole number from 1 to 1000000/],
    [['--duplicates', '1.01'], /--duplicates .* It must be a number from 0 to 1/],
    [['--duplicates', '-1'], /--duplicates .* It must be a number from 0 to 1/],
    [['--duplicates', 'half'], /--duplicates .* It must be a number from 0 to 1/],
    [['--payload-bytes', '3145729'], /--payload-bytes .* It must be a whole number from 0 to 3145728/],
    [
      ['--payload-bytes', '3145728', '--in-flight', '86'],
      /--in-flight times --payload-bytes must be at most 268435456, is 86 times 3145728/,
    ],
    [['--keys', 'odd'], /--keys .* Allowed choices are random, time-ordered, zipf/],
    [['--keys', 'zipf', '--duplicates', '0.1'], /--duplicates goes with --keys random or time-ordered/],
    [['--retention', '60'], /--retention .* It has no unit: say 60s/],
  ])('%j is told without a coordinator', async (args, message) => {
    const run = await runInProcess(['bench', '--address', '127.0.0.1:1', ...args]);
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toMatch(message);
    expect(run.stderr).toMatch(/^error: .*\n$/);
  });

  test('large payloads at a rate are no wrong usage: fewer are under way', async () => {
    const args = ['--payload-bytes', '3145728', '--rate', '1'];
    expect(await runInProcess(['bench', '--address', '127.0.0.1:1', ...args])).toMatchObject({ code: 6 });
  });

  test('ends with the code of what is wrong', async () => {
    expect(await bench(['--payload-bytes', '1048577'])).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: --payload-bytes must be at most 1048576 in namespace ${namespace}\n`,
    });
    expect(await bench(['--namespace', 'nobody'])).toMatchObject({ code: 3, stdout: '' });
    const away = await runInProcess(['bench', '--address', '127.0.0.1:1']);
    expect(away).toMatchObject({ code: 6, stdout: '' });
    expect(away.stderr).toMatch(/^error: no coordinator at 127\.0\.0\.1:1 /);
    await target.stalled(async () => {
      expect(await bench(['--timeout', '300ms'])).toMatchObject({ code: 6, stdout: '' });
    });
  });
});

describe('a signal', () => {
  /** Under way in a process of its own. */
  const start = async (...args: readonly string[]): Promise<Child> => {
    const common = ['--address', target.address, '--namespace', namespace, '--duration', '60s', '--json'];
    const child = startChild(['src/main.ts', 'bench', ...common, ...args]);
    await until('it is under way', async () => child.hasEnded() || (await records()).length > 200);
    return child;
  };

  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with what was measured so far', async (signal) => {
    const child = await start();
    child.signal(signal);
    // A shell loop around it stops only if the signal is what ended it.
    expect(await child.ended).toBe(signal);
    const measured = JSON.parse(child.out.join('\n')) as BenchReport;
    expect(measured).toMatchObject({ interrupted: true, errors: {} });
    expect(measured.executed).toBe((await records()).length - 1);
    expect(measured.elapsedMs).toBeLessThan(50_000);
    expect(child.errors.map((line) => JSON.parse(line) as unknown).at(-1)).toEqual({
      notice: 'ending; once more to stop at once',
    });
  });

  test('does not wait for a coordinator that does not answer', async () => {
    const child = await start('--timeout', '60s');
    await target.stalled(async () => {
      child.signal('SIGINT');
      expect(await child.ended).toBe('SIGINT');
    });
    expect(JSON.parse(child.out.join('\n'))).toMatchObject({ interrupted: true, errors: {} });
  });

  test('ends it at once the second time', async () => {
    const child = await start('--timeout', '60s');
    await target.stalled(async () => {
      child.signal('SIGINT');
      await said(child, 'errors', /once more to stop at once/);
      child.signal('SIGINT');
      expect(await child.ended).toBe('SIGINT');
    });
    expect(child.out).toEqual([]);
  });
});

test('counts errors by reason and goes on', async () => {
  const running = bench(['--duration', '1500ms', '--timeout', '200ms', '--json']);
  // Beside those that are not finished yet, of which there may be 64.
  await until('it is under way', async () => (await records()).length > 200);
  await target.stalled(() => running);
  const { code, stdout } = await running;
  const { executed, errors } = JSON.parse(stdout) as BenchReport;
  expect(code).toBe(0);
  expect(executed).toBeGreaterThan(100);
  expect(Object.values(errors).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  expect(Object.keys(errors).join()).toMatch(/^[A-Z_]+(,[A-Z_]+)*$/);
});
