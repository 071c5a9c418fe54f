import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { until } from './until.js';

/** A process of a test's own, killed when the test ends. */
export interface TestProcess {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it said so far, line by line. */
  readonly out: readonly string[];
  readonly errors: readonly string[];
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly hasEnded: () => boolean;
  kill(signal: NodeJS.Signals): void;
  /** Writes a line to its standard input. */
  tell(line: string): void;
}

/** Runs a TypeScript file of this checkout with node itself, so that its pid is the one to kill. */
export function runChild(
  args: readonly string[],
  settings: { readonly env?: NodeJS.ProcessEnv; readonly imports?: readonly string[] } = {},
): TestProcess {
  const imports = ['tsx', ...(settings.imports ?? [])].flatMap((name) => ['--import', name]);
  const child = spawn(process.execPath, [...imports, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...settings.env },
  });
  child.stdin.on('error', () => undefined);
  const out = linesOf(child.stdout);
  const errors = linesOf(child.stderr);
  let end: number | NodeJS.Signals | undefined;
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => {
      end = code ?? signal ?? 0;
      resolve(end);
    });
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    process: child,
    pid: child.pid ?? 0,
    out,
    errors,
    ended,
    hasEnded: () => end !== undefined,
    kill: (signal) => child.kill(signal),
    tell: (line) => child.stdin.write(`${line}\n`),
  };
}

/** The first line that matches, once it was said; fails at once when the process ends without it. */
export async function said(
  { out, errors, hasEnded }: TestProcess,
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

function linesOf(stream: NodeJS.ReadableStream): readonly string[] {
  const lines: string[] = [];
  createInterface(stream).on('line', (line) => lines.push(line));
  return lines;
}
