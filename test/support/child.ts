import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

/** A process of ours. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it said so far, line by line. */
  readonly out: readonly string[];
  readonly errors: readonly string[];
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly hasEnded: () => boolean;
  /** Sends the signal, and waits for nothing. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Writes a line to its standard input. */
  readonly tell: (line: string) => void;
  /** SIGTERM, and SIGKILL when that is not heeded in time. */
  readonly stop: () => Promise<void>;
  /** SIGKILL: nothing of it runs on. */
  readonly kill: () => Promise<void>;
}

export interface ChildSettings {
  readonly env?: NodeJS.ProcessEnv;
  /** Modules to load first. */
  readonly imports?: readonly string[];
  /** For Node, e.g. `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  /** It is JavaScript, and runs as it is: without tsx. */
  readonly built?: boolean;
  /** Messages instead of lines: what it writes goes to our own terminal. */
  readonly ipc?: boolean;
  /** File descriptor that is its standard error; `errors` stays empty. */
  readonly stderr?: number;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const patienceMs = 15_000;

/** Whatever is still running goes with us; a child that outlives a killed parent watches its own IPC channel. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs a file, path from the root, without a wrapper process in between: its pid is the one to kill. */
export function startChild(args: readonly string[], settings: ChildSettings = {}): Child {
  const loaders = settings.built === true ? [] : ['tsx'];
  const imports = [...loaders, ...(settings.imports ?? [])].flatMap((name) => ['--import', name]);
  const child = spawn(process.execPath, [...(settings.nodeFlags ?? []), ...imports, ...args], {
    cwd: root,
    stdio:
      settings.ipc === true
        ? ['ignore', 'inherit', 'inherit', 'ipc']
        : ['pipe', 'pipe', settings.stderr ?? 'pipe'],
    env: { ...process.env, ...settings.env },
  });
  running.add(child);
  child.stdin?.on('error', () => undefined);
  const out = linesOf(child.stdout);
  const errors = linesOf(child.stderr);
  let end: number | NodeJS.Signals | undefined;
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      end = code ?? signal ?? 0;
      resolve(end);
    });
  });
  const signal = (name: NodeJS.Signals) => void child.kill(name);
  const kill = async () => {
    signal('SIGKILL');
    await ended;
  };
  const stop = async () => {
    signal('SIGTERM');
    const timer = setTimeout(() => void kill(), patienceMs);
    await ended;
    clearTimeout(timer);
  };
  return {
    process: child,
    pid: child.pid ?? 0,
    out,
    errors,
    ended,
    hasEnded: () => end !== undefined,
    signal,
    tell: (line) => void child.stdin?.write(`${line}\n`),
    stop,
    kill,
  };
}

/** The first line that matches, once it was said; fails at once when the process ends without it. */
export async function said(
  { out, errors, hasEnded }: Child,
  stream: 'out' | 'errors',
  pattern: RegExp,
  from = 0,
): Promise<string> {
  const lines = stream === 'out' ? out : errors;
  const found = await until(`${String(pattern)} is said`, () => {
    const line = lines.slice(from).find((each) => pattern.test(each));
    return line ?? (hasEnded() ? 'ended' : undefined);
  });
  if (found === 'ended') throw new Error(`it ended without ${String(pattern)}:\n${errors.join('\n')}`);
  return found;
}

export interface ServeProcess extends Child {
  readonly address: string;
  readonly port: number;
  readonly httpPort: number;
}

/** `onceward serve` as a process of its own, on free ports unless the arguments name some. */
export function spawnServe(args: readonly string[], settings: ChildSettings = {}): Child {
  const program = settings.built === true ? 'dist/main.js' : 'src/main.ts';
  return startChild([program, 'serve', '--port', '0', '--http-port', '0', ...args], settings);
}

/** Waits until it serves. */
export async function serving(child: Child): Promise<ServeProcess> {
  const line = await said(child, 'errors', /"msg":"serving"/);
  const { rpcPort, httpPort } = JSON.parse(line) as { readonly rpcPort: number; readonly httpPort: number };
  return { ...child, port: rpcPort, httpPort, address: `127.0.0.1:${rpcPort}` };
}

/** `onceward serve`, ready for calls. `port` 0 takes a free one. */
export function startServe(
  databaseUrl: string,
  { port = 0, nodeFlags = [] }: { readonly port?: number; readonly nodeFlags?: readonly string[] } = {},
): Promise<ServeProcess> {
  return serving(spawnServe(['--database-url', databaseUrl, '--port', String(port)], { nodeFlags }));
}

function linesOf(stream: NodeJS.ReadableStream | null): readonly string[] {
  const lines: string[] = [];
  if (stream !== null) createInterface(stream).on('line', (line) => lines.push(line));
  return lines;
}
