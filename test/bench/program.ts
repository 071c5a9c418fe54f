import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/** A program that is not ours, whose data goes with it. */
export interface Program {
  readonly pid: number;
  readonly hasEnded: () => boolean;
  /** SIGKILL: nothing of it is kept. */
  readonly kill: () => Promise<void>;
}

/** Starts it with what it says going to `logFile`. It goes when we go. */
export async function startProgram(
  command: string,
  args: readonly string[],
  { logFile, env = {} }: { readonly logFile: string; readonly env?: NodeJS.ProcessEnv },
): Promise<Program> {
  const log = await open(logFile, 'w');
  // In a group of its own: Ctrl-C is for us to handle, in our order.
  const child = spawn(command, args, {
    stdio: ['ignore', log.fd, log.fd],
    env: { ...process.env, ...env },
    detached: true,
  });
  const ended = once(child, 'exit');
  await once(child, 'spawn');
  await log.close();
  const killNow = () => void child.kill('SIGKILL');
  process.on('exit', killNow);
  child.once('exit', () => process.off('exit', killNow));
  return {
    pid: child.pid ?? 0,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    kill: async () => {
      killNow();
      await ended;
    },
  };
}
