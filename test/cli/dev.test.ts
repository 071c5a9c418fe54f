import { describe, expect, onTestFinished, test } from 'vitest';
import { welcome } from '../../src/cli/dev.js';
import type { RunningServer } from '../../src/cli/run-server.js';
import { loadConfig, type ConfigFlags } from '../../src/config.js';
import { runChild } from '../support/child-coordinator.js';
import { said } from '../support/child.js';
import { createDatabase } from '../support/database.js';
import { untilBlocked, withHolder } from '../support/holder.js';

const dev = (databaseUrl: string, env: NodeJS.ProcessEnv = {}) =>
  runChild(['src/main.ts', 'dev', '--port', '0', '--http-port', '0', '--database-url', databaseUrl], { env });

test('what dev has other defaults for, the environment says all the same', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const settings = { ONCEWARD_REFLECTION: 'false', ONCEWARD_PROMETHEUS: 'false', ONCEWARD_LOG_LEVEL: 'info' };
  const child = dev(database.url, settings);
  expect(await said(child, 'out', /gRPC/)).toMatch(/\(plaintext, reflection off\)$/);
  expect(await said(child, 'out', /HTTP/)).toMatch(/\/healthz {2}\/readyz$/);
  child.signal('SIGINT');
  expect(await child.ended).toBe(0);
  await said(child, 'errors', /"msg":"draining/);
});

test('Ctrl-C during the start ends it without a welcome', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const child = await withHolder(database.url, async (holder) => {
    // Where one at a time migrates.
    await holder.query('SELECT pg_advisory_xact_lock($1)', [0x6f6e6365]);
    const starting = dev(database.url);
    await untilBlocked(database, 1);
    starting.signal('SIGINT');
    return starting;
  });
  expect(await child.ended).toBe(0);
  expect([child.out, child.errors]).toEqual([[], []]);
});

describe('the welcome', () => {
  const text = (flags: ConfigFlags) => {
    const config = loadConfig(undefined, flags);
    return welcome({ rpcPort: config.port, httpPort: config.httpPort } as RunningServer, config);
  };

  test.each([
    [{ host: '127.0.0.2' }, '127.0.0.2:7400'],
    [{ host: '::1' }, '[::1]:7400'],
    [{ port: 7500 }, '127.0.0.1:7500'],
  ])('names the address in each call where it is another than the default: %j', (flags, address) => {
    expect(text(flags).match(/ (begin|complete) .* --address \S+$/gm)).toHaveLength(3);
    expect(text(flags)).toContain(` --address ${address}\n`);
  });

  test('names no address where the commands find it by themselves', () => {
    expect(text({})).not.toContain('--address');
  });
});
