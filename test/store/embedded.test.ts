import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  DataFolderInUse,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../src/store/embedded/embedded-postgres.js';
import { failure, pidOf, useTestBench } from '../support/embedded-bench.js';
import {
  eventually,
  isRoot,
  isRunning,
  query,
  removeTestFolder,
  serverPid,
} from '../support/embedded-checkout.js';

const debianBinFolder = '/usr/lib/postgresql/15/bin';
const flavours: readonly { readonly version: string; readonly bin: EmbeddedPostgresOptions }[] = [
  { version: '18.4', bin: {} },
  ...(existsSync(debianBinFolder) ? [{ version: '15.', bin: { binFolder: debianBinFolder } }] : []),
];

const bench = useTestBench();

describe.each(flavours)('Postgres $version', ({ version, bin }) => {
  it('keeps its data over restarts and stops for good', async () => {
    const dataFolder = bench.newDataFolder();
    const first = await bench.start({
      ...bin,
      dataFolder,
      database: 'ledger',
      settings: { max_connections: '33' },
    });
    expect(first.version.startsWith(version)).toBe(true);
    await query(first.url, 'CREATE TABLE kept AS SELECT 7 AS n');
    await first.restart();
    await first.restart('immediate');
    expect(await query(first.url, 'SELECT n, current_database(), current_user FROM kept')).toEqual([
      7,
      'ledger',
      'onceward',
    ]);
    const settings = [
      'max_connections',
      'listen_addresses',
      'fsync',
      'synchronous_commit',
      'full_page_writes',
    ];
    const shown = await query(
      first.url,
      `SELECT ${settings.map((name) => `current_setting('${name}')`).join()}`,
    );
    expect(shown).toEqual(['33', '', 'on', 'on', 'on']);
    const pid = await pidOf(dataFolder);
    await Promise.all([first.stop(), first.stop()]);
    expect(isRunning(pid)).toBe(false);
    const second = await bench.start({ ...bin, dataFolder, database: 'ledger' });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT n FROM kept')).toEqual([7]);
  });

  it('comes back with its data right after its owner was killed', async () => {
    const dataFolder = await bench.usedDataFolder(bin);
    const owner = bench.own({ ...bin, dataFolder });
    const { url } = await owner.says();
    await query(url, 'CREATE TABLE kept AS SELECT 7 AS n');
    const orphan = await pidOf(dataFolder);
    owner.process.kill('SIGKILL');
    await owner.ended();
    const server = await bench.start({ ...bin, dataFolder });
    expect(isRunning(orphan)).toBe(false);
    expect(await query(server.url, 'SELECT n FROM kept')).toEqual([7]);
  });

  it('recovers when Postgres itself was killed', async () => {
    const dataFolder = await bench.usedDataFolder(bin);
    const server = await bench.start({ ...bin, dataFolder });
    await query(server.url, 'CREATE TABLE kept AS SELECT 7 AS n');
    process.kill(await pidOf(dataFolder), 'SIGKILL');
    await server.restart();
    expect(await query(server.url, 'SELECT n FROM kept')).toEqual([7]);
  });
});

describe('the end of the owner', () => {
  it('stops the server when the owner is killed and nobody comes after it', async () => {
    const dataFolder = await bench.usedDataFolder();
    const owner = bench.own({ dataFolder });
    await owner.says();
    const pid = await pidOf(dataFolder);
    owner.process.kill('SIGKILL');
    await eventually('the server ends', () => !isRunning(pid));
    expect(serverPid(dataFolder)).toBeUndefined();
    expect(await readFile(join(dataFolder, 'server.log'), 'utf8')).toMatch(
      /received fast shutdown[^]*is shut down\n$/,
    );
  });

  it('stops the server when the owner just ends without stopping it', async () => {
    const dataFolder = await bench.usedDataFolder();
    const owner = bench.own({ dataFolder }, 'forget');
    await owner.says();
    const pid = serverPid(dataFolder) ?? 0;
    await owner.ended();
    await eventually('the server ends', () => !isRunning(pid));
  });

  it('leaves nothing behind when it comes in the middle of initdb or of a start', async () => {
    const dataFolder = bench.newDataFolder();
    const first = bench.own({ dataFolder });
    const isMaking = (): boolean =>
      existsSync(dataFolder) && readdirSync(dataFolder).some((name) => name.includes('making'));
    await eventually('initdb begins', isMaking);
    first.process.kill('SIGKILL');
    await first.ended();
    expect(existsSync(join(dataFolder, 'data'))).toBe(false);
    const second = bench.own({ dataFolder });
    const pid = await pidOf(dataFolder);
    second.process.kill('SIGKILL');
    await eventually('the server ends', () => !isRunning(pid));
    const server = await bench.start({ dataFolder });
    expect(await query(server.url, 'SELECT 1')).toEqual([1]);
    expect(isMaking()).toBe(false);
  });

  it('is made up for by the next start when the watchdog was killed too', async () => {
    const dataFolder = await bench.usedDataFolder();
    const owner = bench.own({ dataFolder });
    await owner.says();
    const orphan = await pidOf(dataFolder);
    for (const pid of await watchdogsOf(orphan)) process.kill(pid, 'SIGKILL');
    owner.process.kill('SIGKILL');
    await owner.ended();
    expect(isRunning(orphan)).toBe(true);
    const server = await bench.start({ dataFolder });
    expect(await query(server.url, 'SELECT 1')).toEqual([1]);
    expect(await pidOf(dataFolder)).not.toBe(orphan);
  });

  it('is not needed to stop a server whose watchdog was killed', async () => {
    const dataFolder = await bench.usedDataFolder();
    const server = await bench.start({ dataFolder });
    const pid = await pidOf(dataFolder);
    for (const watchdog of await watchdogsOf(pid)) process.kill(watchdog, 'SIGKILL');
    await server.restart();
    await eventually('the server ends', () => !isRunning(pid));
    expect(await query(server.url, 'SELECT 1')).toEqual([1]);
  });

  it("isn't brought about by Ctrl-C, which reaches the owner alone", async () => {
    const dataFolder = await bench.usedDataFolder();
    const owner = bench.own({ dataFolder });
    const { url } = await owner.says();
    const pid = await pidOf(dataFolder);
    process.kill(-owner.pid, 'SIGINT');
    expect(await owner.says()).toEqual({ interrupts: 1 });
    expect(await query(url, 'SELECT 1')).toEqual([1]);
    owner.process.stdin?.write('stop\n');
    await owner.ended();
    expect(isRunning(pid)).toBe(false);
  });
});

describe('a data folder', () => {
  it('in use is refused at once, and its server is not disturbed', async () => {
    const dataFolder = await bench.usedDataFolder();
    const owner = bench.own({ dataFolder });
    const { url } = await owner.says();
    const pid = await pidOf(dataFolder);
    const begunTime = Date.now();
    const refused = await failure(startEmbeddedPostgres({ dataFolder }));
    expect(Date.now() - begunTime).toBeLessThan(2000);
    expect(refused).toBeInstanceOf(DataFolderInUse);
    expect(refused).toMatchObject({ dataFolder, pid: owner.pid });
    expect(refused.message).toContain(dataFolder);
    expect(refused.message).toContain(String(owner.pid));
    expect(await pidOf(dataFolder)).toBe(pid);
    expect(await query(url, 'SELECT 1')).toEqual([1]);
  });

  it('wanted by several at the same moment goes to one of them', async () => {
    const dataFolder = bench.newDataFolder();
    const owners = [bench.own({ dataFolder }), bench.own({ dataFolder })];
    const said = await Promise.all(owners.map((owner) => owner.says()));
    expect(said.filter(({ url }) => url !== undefined)).toHaveLength(1);
    expect(said.filter(({ name }) => name === 'DataFolderInUse')).toHaveLength(1);
  });

  it('may have a path longer than a socket address', async () => {
    const dataFolder = join(bench.newDataFolder(), 'a folder, "quoted" + 100% odd', 'x'.repeat(120));
    const server = await bench.start({ dataFolder });
    const socketFolder = new URL(server.url).searchParams.get('host') ?? '';
    expect(await query(server.url, 'SELECT 1')).toEqual([1]);
    expect((await stat(socketFolder)).mode & 0o777).toBe(0o700);
    await server.stop();
    await chmod(socketFolder, 0o777);
    expect((await failure(bench.start({ dataFolder }))).message).toContain(
      `${socketFolder} is open to other users`,
    );
    await removeTestFolder(socketFolder);
  });

  it('of another major version is refused by name', async () => {
    const dataFolder = bench.newDataFolder();
    await mkdir(join(dataFolder, 'data'), { recursive: true });
    await writeFile(join(dataFolder, 'data/PG_VERSION'), '13\n');
    expect((await failure(bench.start({ dataFolder }))).message).toMatch(
      /made by Postgres 13 .* by Postgres 18/,
    );
  });

  it('with a lock whose pid now belongs to another program starts again', async () => {
    const dataFolder = await bench.usedDataFolder();
    await (await bench.start({ dataFolder })).stop();
    const { uid, gid } = await stat(join(dataFolder, 'data'));
    const other = spawn('sleep', ['60'], { ...(isRoot ? { uid, gid } : {}), cwd: '/' });
    onTestFinished(() => void other.kill());
    await writeFile(
      join(dataFolder, 'data/postmaster.pid'),
      `${other.pid}\n${dataFolder}/data\n1\n5432\n\n\n\n`,
    );
    const server = await bench.start({ dataFolder });
    expect(await query(server.url, 'SELECT 1')).toEqual([1]);
  });
});

/** The shell that waits for the server and the one that reads the pipe. */
async function watchdogsOf(server: number): Promise<readonly number[]> {
  const pids: number[] = [];
  for (const name of await readdir('/proc')) {
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const [, comm, group] = /^\d+ \((.*)\) \S+ \d+ (\d+)/.exec(stat) ?? [];
    if (comm === 'sh' && Number(group) === (await groupOf(server))) pids.push(Number(name));
  }
  return pids;
}

async function groupOf(pid: number): Promise<number> {
  return Number(/\) \S+ \d+ (\d+)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8'))?.[1]);
}
