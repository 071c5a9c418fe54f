import { afterEach, describe, expect, it } from 'vitest';
import { toDuration } from '../../src/client/duration.js';
import { exitCodes } from '../../src/cli/exit-codes.js';
import { runInProcess } from '../support/run-program.js';
import {
  errorWith,
  startScriptedCoordinator,
  type ErrorScript,
  type ScriptedCoordinator,
  type Script,
} from '../support/scripted-coordinator.js';

let server: ScriptedCoordinator | undefined;
afterEach(() => {
  server?.stop();
  server = undefined;
});

async function runAgainst(scripts: Record<string, Script>, ...args: string[]) {
  server = await startScriptedCoordinator(scripts);
  return runInProcess([...args, '--address', server.address]);
}

const failing = (script: ErrorScript) => ({ begin: () => Promise.reject(errorWith(script)) });

describe('the table', () => {
  it('is what the help says', async () => {
    const { stdout } = await runInProcess(['--help']);
    for (const [code, meaning] of Object.entries(exitCodes)) expect(stdout).toContain(`${code}  ${meaning}`);
  });

  it('never changes: scripts branch on it', () => {
    expect(Object.keys(exitCodes).map(Number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13]);
  });
});

describe('begin', () => {
  it.each([
    [
      'execute',
      {
        $case: 'execute',
        value: { fencingToken: 7n, attempt: 1, lease: { seconds: 30n, nanos: 0 }, takeover: false },
      },
      0,
    ],
    ['replay', { $case: 'replay', value: { result: undefined, attempts: 1, traceparent: '' } }, 10],
    ['in progress', { $case: 'inProgress', value: { attempt: 1 } }, 11],
    ['indeterminate', { $case: 'indeterminate', value: { attempt: 1 } }, 12],
    ['result expired', { $case: 'resultExpired', value: {} }, 13],
  ])('ends %s with its own code', async (word, outcome, code) => {
    const run = await runAgainst({ begin: () => ({ outcome }) }, 'begin', 'k');
    expect(run).toMatchObject({ code, stderr: '' });
    expect(run.stdout).toMatch(new RegExp(`^${word} `));
  });
});

describe('an execution that had to wait', () => {
  it('says how long, as the lease counts from there', async () => {
    const [lease, waited] = [toDuration(30_000), toDuration(1500)];
    const value = { fencingToken: 7n, attempt: 2, lease, waited, takeover: true };
    const { stdout } = await runAgainst(
      { begin: () => ({ outcome: { $case: 'execute', value } }) },
      'begin',
      'k',
    );
    expect(stdout).toMatch(/^execute .*\nattempt id .*\nwaited +1\.5s\ntakeover +an earlier attempt/);
  });
});

describe('a failed call', () => {
  it.each([
    ['INVALID_ARGUMENT', 3, 2],
    ['NOT_FOUND', 5, 3],
    ['FAILED_PRECONDITION', 9, 4],
    ['ABORTED', 10, 5],
    ['UNAVAILABLE', 14, 6],
    ['DEADLINE_EXCEEDED', 4, 6],
    ['RESOURCE_EXHAUSTED', 8, 6],
    ['PERMISSION_DENIED', 7, 7],
    ['UNAUTHENTICATED', 16, 7],
    ['INTERNAL', 13, 1],
    ['UNIMPLEMENTED', 12, 1],
  ])('%s ends with its code and one line', async (_name, grpcCode, code) => {
    const run = await runAgainst(
      failing({ code: grpcCode, message: 'why', reason: 'SOME_REASON' }),
      'begin',
      'k',
    );
    expect(run).toEqual({ code, stdout: '', stderr: 'error: SOME_REASON: why\n' });
  });

  it('prints one line a violation, and the hint to retry', async () => {
    const violations = [
      { field: 'ref.key', description: 'must have 1 to 255 characters, has 0' },
      { field: 'lease', description: 'must be \x1b[1m100' },
    ];
    const script = { code: 3, message: 'two things', reason: 'KEY_INVALID', violations, retryAfterMs: 250 };
    const { stderr } = await runAgainst(failing(script), 'begin', 'k');
    expect(stderr).toBe(
      'error: KEY_INVALID: two things (retry after 250 ms)\n' +
        '  ref.key: must have 1 to 255 characters, has 0\n' +
        '  lease: must be \\x1b[1m100\n',
    );
  });

  it('is an object with --json', async () => {
    const script = { code: 9, message: 'no', reason: 'STATE_CONFLICT', metadata: { state: 'FAILED' } };
    const { code, stdout, stderr } = await runAgainst(failing(script), 'begin', 'k', '--json');
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'FAILED_PRECONDITION',
        reason: 'STATE_CONFLICT',
        message: 'no',
        violations: [],
        metadata: { state: 'FAILED' },
      },
      exitCode: 4,
    });
  });

  it('says how to start a coordinator when there is none', async () => {
    const gone = await startScriptedCoordinator({});
    gone.stop();
    const run = await runInProcess(['lookup', 'k', '--address', gone.address]);
    expect(run).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: no coordinator at ${gone.address} (connect ECONNREFUSED ${gone.address}); start one with "onceward dev"\n`,
    });
  });

  it('is one the answer did not come in time for', async () => {
    const never = { begin: () => new Promise<object>(() => undefined) };
    // Long enough to connect on a busy machine: who can't is told that there is no coordinator.
    const run = await runAgainst(never, 'begin', 'k', '--timeout', '1s');
    expect(run.code).toBe(6);
    expect(run.stderr).toMatch(/^error: DEADLINE_EXCEEDED: .*\n$/);
  });
});

describe('wrong usage', () => {
  it.each([
    [['begin'], /missing required argument 'key'/],
    [
      ['begin', 'k', '--lease', '30'],
      /'--lease <duration>' argument '30' is invalid. It has no unit: say 30s/,
    ],
    [['begin', 'k', '--address', ''], /--address .* It must not be empty/],
    [['begin', 'k', '--timeout', 'soon'], /--timeout .*Use e.g. 250ms, 30s, 5m, 2h or 7d/],
    [['begin', 'k', '--timeout', '0s'], /--timeout .* It must be 1ms to 1d/],
    [['begin', 'k', '--timeout', '25h'], /--timeout .* It must be 1ms to 1d/],
    [['begin', 'k', '--label', 'x'], /Use name=value/],
    [['begin', 'k', '--on-lapse', 'explode'], /Allowed choices are rerun, park/],
    [['begin', 'k', '--fingerprint', 'xyz'], /hexadecimal/],
    [['begin', 'k', '--fingerprint', 'ab', '--fingerprint-of', 'x'], /exclude each other/],
    [['begin', 'k', '--fingerprint-version', '2147483648'], /whole number from 0 to 2147483647/],
    [['begin', 'k', '--wait', '1000001d'], /--wait .* It must be at most 1000000d/],
    [['namespace', 'put', 'n', '--max-attempts', '1000001'], /whole number from 1 to 1000000/],
    [['namespace', 'put', 'n', '--max-result-bytes', '3145729'], /whole number from 0 to 3145728/],
    [['begin', 'k', '--parent', 'nokey'], /--parent must be namespace\/key/],
    [['begin', 'k', '--parent-scope', 'acme'], /--parent-scope goes with --parent/],
    [['complete', 'k'], /required option '--token <n>' not specified/],
    [['complete', 'k', '--token', '0'], /whole number from 1/],
    [['complete', 'k', '--token', '1', '--payload', 'x', '--payload-file', 'y'], /exclude each other/],
    [['complete', 'k', '--token', '1', '--payload-file', 'no/such/file'], /--payload-file: ENOENT/],
    [['fail', 'k', '--token', '1', '--code', '5'], /either --final or --retryable/],
    [['fail', 'k', '--token', '1', '--code', '5', '--final', '--retryable'], /either --final or --retryable/],
    [['fail', 'k', '--token', '1', '--code', '5', '--final', '--retry-after', '1s'], /goes with --retryable/],
    [['fail', 'k', '--token', '1', '--final', '--code', 'OK'], /other than OK/],
    [['resolve', 'k', '--release'], /required option '--reason <text>' not specified/],
    [['resolve', 'k', '--reason', 'r'], /one of --complete, --fail and --release/],
    [
      ['resolve', 'k', '--reason', 'r', '--release', '--fail', '5'],
      /one of --complete, --fail and --release/,
    ],
    [['resolve', 'k', '--reason', 'r', '--release', '--payload', 'x'], /go with --complete/],
    [['resolve', 'k', '--reason', 'r', '--release', '--message', 'x'], /goes with --fail/],
    [['list', '--state', 'odd'], /Allowed choices are in-progress/],
    [['list', '--limit', '0'], /whole number from 1/],
    [['nonsense'], /unknown command 'nonsense'/],
    [['lookup', 'k', '--nonsense'], /unknown option '--nonsense'/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ])('%j', async (args, message) => {
    const plain = await runInProcess(args);
    expect(plain).toMatchObject({ code: 2, stdout: '' });
    expect(plain.stderr).toMatch(message);
    expect(plain.stderr).toMatch(/^error: .*\n/);
    const json = await runInProcess([...args, '--json']);
    expect(json).toMatchObject({ code: 2, stdout: '' });
    const said = JSON.parse(json.stderr) as { error: { reason: string }; exitCode: number };
    expect(said).toMatchObject({ error: { reason: 'USAGE' }, exitCode: 2 });
  });

  it('includes no command at all, which shows the help', async () => {
    const run = await runInProcess([]);
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toContain('Usage: onceward');
  });
});
