import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { ServerUser } from './server-user.js';

/**
 * Starts the server and holds a pipe to us. The kernel closes the pipe when we die, whatever we die of, and it is there
 * before the server is, so no instant exists in which our death would leave an orphan.
 *
 * A shell rather than Node: it starts in a millisecond, takes no memory, needs no module that would have to be found
 * both from src and from dist, and the server's user can always run it.
 *
 * The reader repeats SIGINT (fast shutdown) because a server that has just been forked doesn't listen yet, and ends
 * with SIGQUIT (immediate shutdown, recovered at the next start) because nobody is left to wait longer.
 */
const script = `
trap '' HUP INT QUIT TERM PIPE
exec 3<&0 </dev/null
"$@" >&2 3<&- &
server=$!
{
  while read -r signal <&3; do kill -s "$signal" "$server"; done
  for second in 1 2 3 4 5 6 7 8 9 10; do kill -s INT "$server"; sleep 1; done
  kill -s QUIT "$server"
} >/dev/null 2>&1 &
reader=$!
exec 3<&-
echo "$server"
exec >/dev/null
wait "$server"
status=$?
kill -s KILL "$reader"
exit "$status"
`;

export interface Watchdog {
  readonly serverPid: number;
  hasExited(): boolean;
  /** Passes a signal to the server: INT stops it fast, QUIT at once and without a checkpoint. */
  signal(name: 'INT' | 'QUIT'): void;
  /** Resolves to false when the server is still there after that time. */
  waitForExit(timeoutMs: number): Promise<boolean>;
  /** As if we had died: the watchdog stops the server on its own. */
  abandon(): void;
}

export interface WatchdogOptions {
  readonly command: readonly string[];
  readonly folder: string;
  readonly logDescriptor: number;
  readonly user: ServerUser;
}

export async function startWatchdog(options: WatchdogOptions): Promise<Watchdog> {
  const child = spawn('/bin/sh', ['-c', script, 'onceward-watchdog', ...options.command], {
    ...options.user.spawnAs,
    cwd: options.folder,
    // Nothing of our environment but the path: PGDATA, PGPORT and their like would change what is served.
    env: { LC_ALL: 'C', PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'pipe', options.logDescriptor],
    // A session of its own, so that Ctrl-C and a closing terminal reach us alone and we can drain before it stops.
    detached: true,
  });
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the watchdog of Postgres has no pipes');
  stdin.on('error', () => undefined);
  const serverPid = await readPid(child, stdout);
  stdout.destroy();
  // An application that forgets to stop us must still be able to end; ending closes the pipe.
  child.unref();
  (stdin as Writable & { unref(): void }).unref();
  return {
    serverPid,
    hasExited: () => hasExited(child),
    signal: (name) => void stdin.write(`${name}\n`),
    waitForExit: (timeoutMs) => waitForExit(child, exit, timeoutMs),
    abandon: () => void stdin.end(),
  };
}

async function readPid(child: ChildProcess, stdout: NodeJS.ReadableStream): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('error', (error) => reject(new Error(`can't start Postgres' watchdog: ${error.message}`)));
    stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stdout.once('end', () =>
      reject(new Error('the watchdog of Postgres ended before it started the server')),
    );
    stdout.on('data', () => {
      if (text.includes('\n')) resolve(Number(text));
    });
  });
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function waitForExit(child: ChildProcess, exit: Promise<void>, timeoutMs: number): Promise<boolean> {
  if (hasExited(child)) return true;
  child.ref();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
  await Promise.race([exit, timeout]);
  clearTimeout(timer);
  child.unref();
  return hasExited(child);
}
