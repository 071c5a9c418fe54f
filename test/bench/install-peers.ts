import { existsSync } from 'node:fs';
import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './run-command.js';

const folder = fileURLToPath(new URL('peers/', import.meta.url));

/** Programs that come from the system, with Debian's package of each. */
const packages = { 'redis-server': 'redis-server', pgbench: 'postgresql' } as const;
type SystemProgram = keyof typeof packages;

/** The packages of `peers/package.json`, unless they are there as its lockfile says. */
export async function installPeerPackages(): Promise<void> {
  const installed = await stat(join(folder, 'node_modules/.package-lock.json')).catch(() => undefined);
  const locked = await stat(join(folder, 'package-lock.json'));
  if (installed !== undefined && installed.mtimeMs >= locked.mtimeMs) return;
  process.stdout.write('installing the peers: npm ci in test/bench/peers\n');
  await runCommand('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel', 'error']);
}

/** Programs that are not in PATH, by apt where that is allowed. */
export async function installPrograms(programs: readonly SystemProgram[]): Promise<void> {
  const missing = programs.filter((name) => !inPath(name)).map((name) => packages[name]);
  if (missing.length === 0) return;
  const list = missing.join(' ');
  if (!inPath('apt-get') || process.getuid?.() !== 0)
    throw new Error(
      `the bench needs ${list}: on Debian and Ubuntu \`apt-get install ${list}\` as root, on macOS \`brew install ` +
        `redis postgresql\`; or name contestants that need neither by --only`,
    );
  process.stdout.write(`installing ${list} by apt-get\n`);
  await withoutServices(async () => {
    await runCommand('apt-get', ['update', '-qq']);
    await runCommand('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing]);
  });
}

function inPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((each) => existsSync(join(each, program)));
}

/** What is installed may start nothing: neither a Redis nor a cluster of Postgres. */
async function withoutServices(install: () => Promise<void>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) {
    await writeFile(policy, '#!/bin/sh\nexit 101\n');
    await chmod(policy, 0o755);
  }
  const clusters = '/etc/postgresql-common/createcluster.conf';
  if (!existsSync(clusters)) {
    await mkdir('/etc/postgresql-common', { recursive: true });
    await writeFile(clusters, 'create_main_cluster = false\n');
  }
  try {
    await install();
  } finally {
    if (ours) await rm(policy);
  }
}
