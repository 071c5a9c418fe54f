import { readdirSync, readFileSync } from 'node:fs';

/** Linux' clock ticks per second, the same on every architecture Node runs on. */
const ticksPerSecond = 100;

interface Stat {
  readonly parent: number;
  /** CPU of the process, ms. */
  readonly own: number;
  /** CPU of children that have ended, ms. */
  readonly children: number;
}

/** CPU a process has used so far, ms; undefined where there is no /proc. */
export function cpuMsOf(pid: number): number | undefined {
  return statOf(pid)?.own;
}

/** The process that started another; undefined where there is no /proc. */
export function parentOf(pid: number): number | undefined {
  return statOf(pid)?.parent;
}

/** CPU of children of a process that have ended, ms. */
export function endedChildrenCpuMsOf(pid: number): number | undefined {
  return statOf(pid)?.children;
}

/** CPU a process and its direct children, also those that have ended, have used so far, ms. */
export function familyCpuMsOf(pid: number): number | undefined {
  const head = statOf(pid);
  if (head === undefined) return undefined;
  let sum = head.own + head.children;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = statOf(Number(name));
    if (stat?.parent === pid) sum += stat.own + stat.children;
  }
  return sum;
}

function statOf(pid: number): Stat | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command's name, may hold spaces; the rest begins with the third.
    const fields = line
      .slice(line.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const at = (field: number) => ((fields[field - 3] ?? 0) * 1000) / ticksPerSecond;
    return { parent: fields[1] ?? 0, own: at(14) + at(15), children: at(16) + at(17) };
  } catch {
    return undefined;
  }
}
