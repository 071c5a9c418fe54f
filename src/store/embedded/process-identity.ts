import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A pid alone names a different process after reuse; together with the start instant it names one process. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, in the kernel's own words without spaces; empty when the kernel won't say. */
  readonly start: string;
}

/** Undefined when there is no such process, or only its unreaped remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  const seen = process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
  if (seen === 'dead') return undefined;
  if (seen !== undefined) return { pid, start: seen };
  return existsAtAll(pid) ? { pid, start: '' } : undefined;
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  if (now === undefined) return false;
  return now.start === identity.start || now.start === '' || identity.start === '';
}

/** True for a zombie and a thread too, which is how Postgres itself judges a pid. */
export function existsAtAll(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Empty when the process is gone or the kernel won't say. */
export function commandLine(pid: number): readonly string[] {
  try {
    return process.platform === 'linux'
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      : ps(pid, 'args=').split(' ');
  } catch {
    return [];
  }
}

function startFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name is in parentheses and may hold anything, so fields are counted behind the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? 'dead' : fields[19];
  } catch {
    return undefined;
  }
}

function startFromPs(pid: number): string | undefined {
  try {
    const [state, ...start] = ps(pid, 'stat=,lstart=').trim().split(/\s+/);
    return state?.startsWith('Z') ? 'dead' : start.join('_');
  } catch {
    return undefined;
  }
}

function ps(pid: number, columns: string): string {
  return execFileSync('/bin/ps', ['-ww', '-o', columns, '-p', String(pid)], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
