import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCommands } from '../support/command-paths.js';
import { startDevCoordinator, type DevCoordinator } from '../support/dev-coordinator.js';
import { runInProcess } from '../support/run-program.js';
import { wordsOf } from '../support/shell-words.js';

/** The program against a real coordinator on a real Postgres. */
let server: DevCoordinator;
beforeAll(async () => {
  server = await startDevCoordinator();
}, 60_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
}, 30_000);

const onceward = (...args: string[]) => runInProcess([...args, '--address', server.address]);

async function json(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await onceward(...args, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** Begins and gives back the fencing token. */
async function granted(key: string, ...args: string[]): Promise<string> {
  const { execute } = (await json('begin', key, ...args)) as { execute: { fencingToken: string } };
  return execute.fencingToken;
}

describe('a session', () => {
  it('goes execute, complete, replay', async () => {
    const first = await onceward('begin', 's1', '--lease', '1m');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(
      /^execute {2}attempt 1, fencing token \d+, lease 1m\nattempt id {2}[0-9a-f-]{36}\n/,
    );
    expect(await onceward('begin', 's1')).toMatchObject({ code: 11 });
    const finish = await runInProcess([...(await pasted(first.stdout)), '--payload', '{"charge":"ch_1"}']);
    expect(finish).toMatchObject({ code: 0, stderr: '' });
    expect(finish.stdout).toMatch(/^completed {2}replayed until \d{4}-/);
    const again = await onceward('begin', 's1');
    expect(again).toMatchObject({ code: 10, stderr: '' });
    expect(again.stdout).toMatch(/^replay .*\nstatus +OK\npayload +\{"charge":"ch_1"\}\n/);
  });

  it('goes the same way for scripts', async () => {
    const token = await granted('s2', '--attempt-id', 'a-1');
    expect(await json('begin', 's2', '--attempt-id', 'a-1')).toMatchObject({
      execute: { fencingToken: token, attempt: 1 },
      attemptId: 'a-1',
    });
    await json('complete', 's2', '--token', token, '--payload', 'done', '--content-type', 'text/plain');
    expect(
      await json('complete', 's2', '--token', token, '--payload', 'done', '--content-type', 'text/plain'),
    ).toMatchObject({
      already: true,
    });
    const replay = await onceward('begin', 's2', '--json');
    expect(replay.code).toBe(10);
    const payload = Buffer.from('done').toString('base64');
    expect(JSON.parse(replay.stdout)).toMatchObject({
      replay: { result: { payload, contentType: 'text/plain' } },
    });
    expect(replay.stdout.trimEnd()).not.toContain('\n');
  });

  it('pastes back keys that a shell would read otherwise, with their namespace and scope', async () => {
    await json('namespace', 'put', 'pasted');
    const key = `-it's"$HOME"`;
    // Everything after -- is an argument, so the address has to come before it.
    const args = ['--address', server.address, '--namespace', 'pasted', '--scope', 'acme'];
    const { stdout } = await runInProcess(['begin', ...args, '--', key]);
    expect(await runInProcess(await pasted(stdout))).toMatchObject({ code: 0, stderr: '' });
    expect(await runInProcess(['lookup', ...args, '--', key])).toMatchObject({ code: 0 });
  });

  it('waits for whoever is at it', async () => {
    const token = await granted('s3');
    const waiting = onceward('begin', 's3', '--wait', '20s');
    expect(await onceward('complete', 's3', '--token', token)).toMatchObject({ code: 0 });
    expect(await waiting).toMatchObject({ code: 10, stdout: expect.stringContaining('(empty)') as string });
  });

  it('takes payloads from stdin and shows bytes that are no text as base64', async () => {
    const token = await granted('s4');
    const args = ['complete', 's4', '--token', token, '--payload-file', '-', '--address', server.address];
    expect(await runInProcess(args, { stdin: Buffer.from([0, 255]) })).toMatchObject({ code: 0 });
    const { stdout } = await onceward('lookup', 's4', '--result');
    expect(stdout).toContain('AP8= (base64, 2 bytes)');
  });
});

describe('failures', () => {
  it('that are final are replayed', async () => {
    const token = await granted('f1');
    const fail = [
      'fail',
      'f1',
      '--token',
      token,
      '--final',
      '--code',
      'FAILED_PRECONDITION',
      '--message',
      'card declined',
    ];
    expect(await onceward(...fail)).toEqual({ code: 0, stdout: 'failed\n', stderr: '' });
    expect(await onceward(...fail)).toMatchObject({ stdout: 'failed (it already was)\n' });
    const replay = await onceward('begin', 'f1');
    expect(replay.code).toBe(10);
    expect(replay.stdout).toContain('FAILED_PRECONDITION: card declined');
  });

  it('that are retryable free the key; the checkpoint goes on', async () => {
    const token = await granted('f2');
    const beat = await onceward(
      'heartbeat',
      'f2',
      '--token',
      token,
      '--lease',
      '5m',
      '--checkpoint',
      'page 3',
    );
    expect(beat).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^extended {2}lease left (5m|299)/) as string,
    });
    const fail = ['fail', 'f2', '--token', token, '--retryable', '--code', '14', '--message', 'bank is down'];
    expect(await onceward(...fail, '--retry-after', '5s')).toMatchObject({ code: 0, stdout: 'released\n' });
    const { stdout } = await onceward('lookup', 'f2');
    expect(stdout).toMatch(/state +RELEASED\n/);
    expect(stdout).toMatch(/last error +UNAVAILABLE: bank is down .*\nretry after +5s\n/);
    const again = await onceward('begin', 'f2');
    expect(again.stdout).not.toContain('waited');
    expect(again.stdout).toMatch(/^execute {2}attempt 2, .*\n.*\ncheckpoint +page 3\n/);
  });

  it('that nobody knows the outcome of wait for an operator', async () => {
    await json('namespace', 'put', 'parked', '--on-lapse', 'park', '--default-lease', '100ms');
    const at = ['--namespace', 'parked'];
    for (const key of ['p1', 'p2', 'p3']) await granted(key, ...at);
    // The wait ends with the lapse of the lease, no clock of ours needed.
    const parked = await onceward('begin', 'p1', ...at, '--wait', '20s');
    expect(parked).toMatchObject({ code: 12, stdout: expect.stringMatching(/^indeterminate {2}/) as string });
    for (const key of ['p2', 'p3']) await onceward('begin', key, ...at, '--wait', '20s');
    const listed = await onceward('list', ...at, '--state', 'indeterminate');
    expect(listed.stdout.trimEnd().split('\n')).toHaveLength(4);
    const why = ['--reason', 'asked the bank'];
    expect(await onceward('resolve', 'p1', ...at, '--release', ...why)).toMatchObject({
      stdout: 'released\n',
    });
    expect(await onceward('resolve', 'p2', ...at, '--complete', '--payload', 'it was', ...why)).toMatchObject(
      { stdout: 'completed\n' },
    );
    expect(
      await onceward('resolve', 'p3', ...at, '--fail', 'NOT_FOUND', '--message', 'no', ...why),
    ).toMatchObject({ stdout: 'failed\n' });
    expect(await onceward('begin', 'p1', ...at)).toMatchObject({ code: 0 });
    expect((await onceward('begin', 'p2', ...at)).stdout).toContain('it was');
    const audit = await onceward('audit', ...at, '--limit', '3');
    expect(audit.stdout).toMatch(/parked\/p3 +asked the bank/);
    expect(audit.stdout.trimEnd().split('\n')).toHaveLength(4);
  });
});

describe('exit codes', () => {
  it('13: the result expired', async () => {
    const retention = ['--result-retention', '1s', '--tombstone-retention', '1h'];
    await json('namespace', 'put', 'brief', ...retention);
    const token = await granted('e1', '--namespace', 'brief');
    await json('complete', 'e1', '--namespace', 'brief', '--token', token);
    const begin = async () => (await onceward('begin', 'e1', '--namespace', 'brief')).code;
    await expect.poll(begin, { timeout: 10_000, interval: 100 }).toBe(13);
  });

  it('2 to 5: what the coordinator refused', async () => {
    const token = await granted('e2');
    const refusals = [
      [2, 'KEY_INVALID', 'begin', 'k'.repeat(256)],
      [2, 'REQUEST_INVALID', 'begin', 'k', '--lease', '1ms'],
      [3, 'RECORD_NOT_FOUND', 'lookup', 'never-seen'],
      [3, 'NAMESPACE_NOT_FOUND', 'begin', 'k', '--namespace', 'nobodys'],
      [4, 'KEY_MISMATCH', 'begin', 'e2', '--operation', 'other'],
      [4, 'STATE_CONFLICT', 'resolve', 'e2', '--release', '--reason', 'r'],
      [4, 'STATE_CONFLICT', 'forget', 'e2', '--reason', 'r'],
      [5, 'LEASE_LOST', 'heartbeat', 'e2', '--token', `${BigInt(token) + 1000n}`],
    ] as const;
    for (const [code, reason, ...args] of refusals) {
      const run = await onceward(...args);
      expect(run).toMatchObject({ code, stdout: '' });
      expect(run.stderr).toMatch(new RegExp(`^error: ${reason}: `));
    }
    await json('complete', 'e2', '--token', token, '--payload', 'a');
    const other = await onceward('complete', 'e2', '--token', token, '--payload', 'b', '--json');
    expect(other.code).toBe(5);
    expect(JSON.parse(other.stderr)).toMatchObject({ error: { code: 'ABORTED', reason: 'RESULT_CONFLICT' } });
  });
});

describe('looking around', () => {
  it('shows who called whom', async () => {
    await granted('l1', '--label', 'team=billing', '--label', 'env=test');
    await granted('l2', '--parent', 'default/l1');
    const { stdout } = await onceward('lookup', 'l1', '--lineage');
    expect(stdout).toMatch(/labels +(team=billing env=test|env=test team=billing)\n/);
    expect(stdout).toMatch(/called from here:\nNAMESPACE.*\ndefault +- +l2 /);
    expect((await onceward('lookup', 'l2')).stdout).toMatch(/parent +default\/l1\n/);
  });

  it('lists what was asked for', async () => {
    for (const key of ['many-1', 'many-2', 'many-3']) await granted(key);
    const { stdout } = await onceward(
      'list',
      '--prefix',
      'many-',
      '--limit',
      '2',
      '--max-age',
      '1h',
      '--json',
    );
    const keys = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { ref: { key: string } }).ref.key);
    expect(keys).toEqual(['many-1', 'many-2']);
    expect((await onceward('list', '--prefix', 'many-', '--min-age', '1h')).stdout.split('\n')).toHaveLength(
      2,
    );
  });

  it('forgets', async () => {
    await granted('g1');
    const forget = ['forget', 'g1', '--reason', 'test data', '--even-if-leased'];
    expect(await onceward(...forget)).toEqual({ code: 0, stdout: 'forgotten\n', stderr: '' });
    expect(await onceward(...forget)).toMatchObject({ code: 0, stdout: 'nothing to forget\n' });
  });

  it('mints keys that can be captured', async () => {
    const { stdout } = await onceward('mint-key');
    expect(stdout).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+\n$/);
    const mint = ['mint-key', '--scope', 'acme', '--client-request-id', 'r-1'];
    expect((await onceward(...mint)).stdout).toBe((await onceward(...mint)).stdout);
  });

  it('knows the coordinator', async () => {
    expect((await onceward('info')).stdout).toMatch(/^version +\d.*\n(.*\n)*postgres +\d+/);
    expect((await onceward('stats')).stdout).toMatch(/begin\.execute +\d+/);
    expect((await onceward('namespace', 'get', 'default')).stdout).toMatch(/result retention +1d\n/);
    expect((await onceward('namespace', 'list')).stdout).toMatch(/^default +rerun +30s/m);
  });

  it('and its doctor finds it well', async () => {
    const { code, stdout, stderr } = await onceward('doctor');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok {4}reach: .*\nok {4}health: SERVING\nok {4}store: /);
    expect(stdout).toMatch(/^ok {4}namespaces: .*default/m);
    expect(stdout).not.toMatch(/^fail/m);
  });
});

describe('the examples in the help', () => {
  it('work', async () => {
    const token = await granted('order-42', '--operation', 'charge');
    const client = (await allCommands()).filter(({ command }) =>
      command.options.some(({ long }) => long === '--address'),
    );
    const helps = await Promise.all(client.map(({ path }) => runInProcess([...path, '--help'])));
    await onceward('namespace', 'put', 'bench', '--result-retention', '1m');
    const examples = helps.map(({ stdout }) =>
      lastLine(stdout).replace('--token 7', `--token ${token}`).replace('--duration 30s', '--duration 1s'),
    );
    for (const words of await wordsOf(examples)) {
      const here = words.filter((word, i) => word !== '--address' && words[i - 1] !== '--address');
      const { code, stderr } = await onceward(...here);
      // Some find the record in another state by now, which is an answer all the same.
      expect([0, 4, 5, 10, 11], `${words.join(' ')}: ${stderr}`).toContain(code);
    }
    expect(examples).toHaveLength(19);
  });
});

/** The arguments of the line that begin says to run. */
async function pasted(stdout: string): Promise<readonly string[]> {
  return (await wordsOf([lastLine(stdout)]))[0] ?? [];
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
