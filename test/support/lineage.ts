import { expect } from 'vitest';
import type { KeyRef } from '../../src/gen/onceward/v1/record.js';
import { runInProcess, type ProgramRun } from './run-program.js';

/** `onceward lineage` against one coordinator. */
export interface LineageRuns {
  run(ref: KeyRef, ...args: readonly string[]): Promise<ProgramRun>;
  /** The tree alone: mark, glyphs and record of each line, and the notes below it. */
  drawn(ref: KeyRef, ...args: readonly string[]): Promise<readonly string[]>;
  /** What --json prints. */
  lines(ref: KeyRef, ...args: readonly string[]): Promise<readonly LineageLine[]>;
}

interface LineageLine {
  readonly ref: KeyRef;
  readonly level: number;
  readonly [more: string]: unknown;
}

export function lineageRuns(address: string): LineageRuns {
  const run: LineageRuns['run'] = ({ namespace, scope, key }, ...args) => {
    const at = ['--address', address, '--namespace', namespace, '--scope', scope];
    return runInProcess(['lineage', ...at, ...args, '--', key]);
  };
  const output = async (ref: KeyRef, args: readonly string[]): Promise<readonly string[]> => {
    const { code, stdout, stderr } = await run(ref, ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.trimEnd().split('\n');
  };
  return {
    run,
    drawn: async (ref, ...args) => {
      const [head = '', ...lines] = await output(ref, args);
      const width = head.indexOf('STATE');
      return lines.map((line) => (/^(cut|loop): /.test(line) ? line : line.slice(0, width).trimEnd()));
    },
    lines: async (ref, ...args) =>
      (await output(ref, ['--json', ...args])).map((line) => JSON.parse(line) as LineageLine),
  };
}
