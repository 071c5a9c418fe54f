import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { guard } from '../../src/client/guard.js';
import { loadConfig } from '../../src/config.js';
import { connectTo, serve } from '../support/child-coordinator.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { putNamespace } from '../support/namespaces.js';
import { runInProcess } from '../support/run-program.js';
import { connected } from '../support/sdk.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** A path in a folder of its own, and the coordinator that serves on it. */
async function socketOfTest() {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-socket-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'onceward.sock');
  return {
    folder,
    path,
    address: `unix:${path}`,
    args: ['--database-url', database.url, '--socket', path],
  };
}

test('calls come by a Unix socket as by the port, and a stop removes it', async () => {
  const { folder, path, address, args } = await socketOfTest();
  const coordinator = await connectTo(serve(args));
  await putNamespace(coordinator, 'test');
  const onceward = connected([address]);
  const spec = { key: 'by-socket', operation: 'test.Socket/Charge' };
  expect(await guard(onceward, spec, () => Promise.resolve(Buffer.from('charged')))).toEqual(
    Buffer.from('charged'),
  );
  const byPort = ['lookup', 'by-socket', '--namespace', 'test', '--address', coordinator.address];
  expect((await runInProcess(byPort)).stdout).toMatch(/COMPLETED/i);
  const bySocket = [...byPort.slice(0, -1), address];
  expect(await runInProcess(bySocket)).toEqual(await runInProcess(byPort));
  expect(coordinator.errors.join('\n')).toContain(JSON.stringify(path));
  onceward.close();
  await coordinator.stop();
  expect(await readdir(folder)).toEqual([]);
});

test('a socket that a killed coordinator left is taken over, one that is served on is not', async () => {
  const { folder, path, address, args } = await socketOfTest();
  const killed = await connectTo(serve(args));
  await killed.kill();
  expect(await readdir(folder)).toEqual(['onceward.sock']);
  await connectTo(serve(args));
  const second = serve(args);
  expect(await second.ended).toBe(1);
  expect(second.errors).toEqual([
    `error: ${path} is taken, perhaps by another coordinator; choose another with --socket`,
  ]);
  expect((await runInProcess(['info', '--address', address])).code).toBe(0);
});

test('what is no socket is left alone, and so is a folder that is not there', async () => {
  const { folder, path, args } = await socketOfTest();
  await writeFile(path, 'mine');
  const onFile = serve(args);
  expect(await onFile.ended).toBe(1);
  expect(onFile.errors.join('\n')).toContain(`${path} is taken`);
  expect(await readdir(folder)).toEqual(['onceward.sock']);
  const missing = join(folder, 'missing', 'onceward.sock');
  const nowhere = serve([...args.slice(0, -1), missing]);
  expect(await nowhere.ended).toBe(1);
  expect(nowhere.errors.join('\n')).toMatch(
    new RegExp(`^error: ${missing} can't be listened on .*--socket$`),
  );
});

test('a path of 103 bytes is the longest, and a relative one is counted from its root', async () => {
  const { folder, args } = await socketOfTest();
  const pathOf = (bytes: number) => join(folder, 's'.repeat(bytes - Buffer.byteLength(folder) - 1));
  const start = (path: string) => serve([...args.slice(0, -1), path]);
  const longest = await connectTo(start(pathOf(103)));
  await longest.stop();
  for (const path of [pathOf(104), '']) {
    const refused = start(path);
    expect(await refused.ended).toBe(2);
    expect(refused.errors).toEqual(['error: --socket: must be a path of 1 to 103 bytes']);
  }
  expect(loadConfig(undefined, { socket: 'here.sock' }).socket).toBe(resolve('here.sock'));
  expect(() => loadConfig(undefined, { socket: 's'.repeat(103) })).toThrow(/103 bytes/);
});
