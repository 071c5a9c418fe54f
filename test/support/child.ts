import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process of ours that has said it is ready. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Resolves when it has ended in whatever way. */
  readonly ended: Promise<void>;
  /** SIGTERM, and SIGKILL when that is not heeded in time. */
  stop(): Promise<void>;
  /** SIGKILL: nothing of it runs on. */
  kill(): Promise<void>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const patienceMs = 15_000;

/** Whatever is still running goes with us; a child that outlives a killed parent watches its own IPC channel. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface ScriptOptions {
  /** For Node, e.g. `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  readonly stdio: StdioOptions;
}

/** Runs a TypeScript file, path from the root, without a wrapper process in between: its pid is the one to kill. */
export function startScript(file: string, args: readonly string[], options: ScriptOptions): Child {
  const nodeFlags = [...(options.nodeFlags ?? []), '--import', 'tsx'];
  const child = spawn(process.execPath, [...nodeFlags, file, ...args], { cwd: root, stdio: options.stdio });
  running.add(child);
  const ended = once(child, 'close').then(() => {
    running.delete(child);
  });
  const kill = () => {
    child.kill('SIGKILL');
    return ended;
  };
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
    await ended;
    clearTimeout(timer);
  };
  return { process: child, pid: child.pid ?? 0, ended, stop, kill };
}

export interface ServeProcess extends Child {
  readonly address: string;
  readonly port: number;
}

/** `onceward serve` as a process of its own, ready for calls. `port` 0 takes a free one. */
export async function startServe(
  databaseUrl: string,
  options: { readonly port?: number; readonly nodeFlags?: readonly string[] } = {},
): Promise<ServeProcess> {
  const args = [
    'serve',
    '--port',
    String(options.port ?? 0),
    '--http-port',
    '0',
    '--database-url',
    databaseUrl,
  ];
  const child = startScript('src/main.ts', args, {
    nodeFlags: options.nodeFlags ?? [],
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const port = await servingPort(child);
  return { ...child, port, address: `127.0.0.1:${port}` };
}

/** Reads the log until it says where it serves, and goes on reading so that the pipe never fills. */
function servingPort(child: Child): Promise<number> {
  return new Promise((resolve, reject) => {
    const said: string[] = [];
    const { stderr } = child.process;
    if (stderr === null) throw new Error('the log of the coordinator is not piped');
    createInterface(stderr).on('line', (line) => {
      if (said.push(line) > 20) said.shift();
      const port = /"rpcPort":(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    void child.ended.then(() => {
      reject(new Error(`the coordinator ended before it served:\n${said.join('\n')}`));
    });
  });
}
