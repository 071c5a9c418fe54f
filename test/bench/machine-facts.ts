import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem, type as system } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What a figure depends on, a line each. */
export async function machineFacts(): Promise<readonly string[]> {
  const locked = JSON.parse(await readFile(new URL('peers/package.json', import.meta.url), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const versions = await Promise.all(['redis-server', 'pgbench'].map(versionOf));
  return [
    `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${system()} ${release()}; ` +
      'everything shares this machine and one disk',
    [`Node ${process.version}`, ...versions.filter((each) => each !== undefined)].join(', '),
    Object.entries(locked.dependencies)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  ];
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    return `${program} ${/\d+(\.\d+)+/.exec((await run(program, ['--version'])).stdout)?.[0] ?? ''}`;
  } catch {
    return undefined;
  }
}
