import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startCoordinator } from '../support/coordinator.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { connectTo, serve } from '../support/child-coordinator.js';
import { type Child, said } from '../support/child.js';
import { freePort } from '../support/free-port.js';
import { startOwnPostgres } from '../support/own-postgres.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { runInProcess } from '../support/run-program.js';
import { until } from '../support/until.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('refused with one line that says what to do, and no stack', () => {
  test('port taken', async () => {
    const other = await startCoordinator(database.url);
    onTestFinished(() => other.stop());
    const { rpcPort, httpPort } = other.server;
    await expectRefused(
      ['--database-url', database.url, '--port', String(rpcPort)],
      new RegExp(`127.0.0.1:${rpcPort} is taken.*--port`),
    );
    await expectRefused(
      ['--database-url', database.url, '--http-port', String(httpPort)],
      new RegExp(`127.0.0.1:${httpPort} is taken.*--http-port`),
    );
  });

  test('port taken, as the process says it', async () => {
    const other = await startCoordinator(database.url);
    onTestFinished(() => other.stop());
    const { rpcPort } = other.server;
    const child = serve(['--database-url', database.url, '--port', String(rpcPort)]);
    expect(await child.ended).toBe(1);
    expect(child.out).toEqual([]);
    expect(child.errors).toEqual([
      `error: 127.0.0.1:${rpcPort} is taken, perhaps by another coordinator; choose another with --port`,
    ]);
  });

  test('data folder in use by another instance', async () => {
    const { dataFolder } = await startOwnPostgres();
    await expectRefused(['--data-dir', dataFolder], /in use by another instance \(process \d+\)/);
  });

  test('wrong partition count', async () => {
    const args = ['--database-url', database.url, '--partition-count', '32'];
    await expectRefused(args, /has 16 partitions and 32 are configured/);
  });

  test('newer schema than program, and older with --no-migrate', async () => {
    const newer = await createDatabase();
    onTestFinished(() => newer.drop());
    await newer.query(
      `INSERT INTO onceward.schema_migration (version, name) VALUES (9999, '9999-later.sql')`,
    );
    await expectRefused(['--database-url', newer.url], /version 9999, newer than this program/);
    const { stdout } = await runInProcess(['migrate', 'status', '--database-url', newer.url]);
    expect(stdout).toMatch(/^newer +schema version 9999/m);

    const empty = await createDatabase({ migrated: false });
    onTestFinished(() => empty.drop());
    await expectRefused(
      ['--database-url', empty.url, '--no-migrate'],
      /older than this program; run `onceward migrate up`/,
    );
  });

  test('a database that would lose results, unless that was accepted', async () => {
    const risky = await createDatabase();
    onTestFinished(() => risky.drop());
    const name = new URL(risky.url).pathname.slice(1);
    await risky.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    await expectRefused(['--database-url', risky.url], /synchronous_commit = off.*RELAXED_DURABILITY/);
    const accepting = await startCoordinator(risky.url, { relaxedDurability: true });
    await accepting.stop();
    await risky.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await expectRefused(['--database-url', risky.url], /read-only.*use the primary/);
  });

  test('a database that does not exist', async () => {
    const url = new URL(database.url);
    url.pathname = '/nobody_made_it';
    await expectRefused(['--database-url', url.href], /nobody_made_it/);
  });

  test('a database URL that is none, without showing its password', async () => {
    const password = 'half/half';
    const line = await expectRefused(
      ['--database-url', `postgres://onceward:${password}@db/onceward`],
      /--database-url: must be a URL; in user and password \/ .* written %2F /,
      2,
    );
    expect(line).not.toContain('half');
  });

  test('a host others can reach without --insecure; with it a loud warning', async () => {
    const args = ['--database-url', database.url, '--host', '0.0.0.0'];
    await expectRefused(args, /0\.0\.0\.0 can be reached from other machines.*--insecure/, 2);
    const child = serve([...args, '--insecure']);
    await connectTo(child);
    const warning = JSON.parse(await said(child, 'errors', /INSECURE/)) as { readonly level: number };
    expect(warning.level).toBe(40);
  });

  test('bad settings, each with its source', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'onceward-config-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'onceward.yaml');
    await writeFile(file, 'drainTimeoutMs: soon\nreplayCacheByte: 1\n');
    vi.stubEnv('ONCEWARD_STATEMENT_TIMEOUT_MS', '7');
    vi.stubEnv('ONCEWARD_LOG_LEVEL', 'loud');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const args = ['--config', file, '--database-url', 'mysql://db', '--port', '70000'];
    const line = await expectRefused(args, /^error: /, 2);
    expect(line).toContain(`drainTimeoutMs in ${file}`);
    expect(line).toMatch(/replayCacheByte/);
    expect(line).toContain('ONCEWARD_STATEMENT_TIMEOUT_MS');
    expect(line).toContain('ONCEWARD_LOG_LEVEL');
    expect(line).toMatch(/--database-url: must begin with postgres:/);
    expect(line).toContain('--port');
    await expectRefused(['--config', join(folder, 'absent.yaml')], /absent\.yaml can't be read/, 2);
  });
});

test.each(['0', '3', '12', '2048'])('%s partitions are wrong usage, whatever the database', async (count) => {
  const args = ['--partition-count', count, '--database-url', 'postgres://nobody@127.0.0.1:1/none'];
  const stderr = 'error: --partition-count: must be a power of two from 1 to 1024\n';
  for (const command of [['serve'], ['migrate', 'up']]) {
    expect(await runInProcess([...command, ...args])).toEqual({ code: 2, stdout: '', stderr });
  }
});

describe('database down at start', () => {
  test.each([
    ['refusing', 'refuse'],
    ['silent', 'stall'],
  ] as const)('%s: clear message, retry with backoff, up when the database is', async (_, fault) => {
    const { url, proxy } = await proxyDatabase(database.url);
    onTestFinished(() => proxy.close());
    proxy[fault]();
    const httpPort = await freePort();
    const child = serve(['--database-url', url, '--http-port', String(httpPort)]);
    const delays: number[] = [];
    for (let tries = 1; tries <= 3; tries += 1) {
      await until('it says so', () => retriesOf(child).length >= tries);
      delays.push(retriesOf(child)[tries - 1] ?? 0);
    }
    expect(delays).toEqual([200, 400, 800]);
    expect(child.errors.join('\n')).not.toMatch(/\n\s+at |stack|\(\); trying/);
    const ready = await fetch(`http://127.0.0.1:${httpPort}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, 'starting\n']);
    proxy.pass();
    proxy.cutAll();
    const connection = await connectTo(child);
    expect(await connection.health('')).toBe('SERVING');
  });

  test.each(['refuse', 'stall'] as const)('stopped while it waits (%s): ends at once', async (fault) => {
    const { url, proxy } = await proxyDatabase(database.url);
    onTestFinished(() => proxy.close());
    proxy[fault]();
    const child = serve(['--database-url', url]);
    await said(child, 'errors', /not reachable/);
    child.signal('SIGTERM');
    expect(await child.ended).toBe(0);
  });
});

/** In this process, as the way through the program is the same and a process costs a second. */
async function expectRefused(args: readonly string[], message: RegExp, code = 1): Promise<string> {
  const ports = ['--port', '0', '--http-port', '0', '--log-level', 'silent'];
  const silent = args[0] === '--config' ? ports.slice(0, 4) : ports;
  const { code: ended, stdout, stderr } = await runInProcess(['serve', ...silent, ...args]);
  expect([ended, stdout]).toEqual([code, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(/^error: /);
  expect(stderr).toMatch(message);
  return stderr;
}

/** The delays it announced, ms. */
function retriesOf({ errors }: Child): readonly number[] {
  return errors.flatMap((line) => {
    const delay = /not reachable.*trying again in (\d+) ms/.exec(line)?.[1];
    return delay === undefined ? [] : [Number(delay)];
  });
}
