import { statSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { failure, pidOf, useTestBench } from '../support/embedded-bench.js';
import { isRoot, makeCheckout, query, startOwner } from '../support/embedded-checkout.js';

const bench = useTestBench();

describe('the surroundings', () => {
  it('may be a checkout in a closed home and any working directory', async () => {
    const home = join(bench.root(), 'home');
    const closed = await makeCheckout(join(home, 'project'));
    await chmod(home, 0o700);
    const owner = startOwner(closed, {
      dataFolder: await bench.usedDataFolder(),
      cacheFolder: join(bench.root(), 'cache-of-home'),
    });
    onTestFinished(() => void owner.process.kill('SIGKILL'));
    expect(await owner.says()).toMatchObject({ version: '18.4' });
    owner.process.stdin?.write('stop\n');
    await owner.ended();
  });

  it('may be a normal user without a home', async () => {
    const dataFolder = bench.newDataFolder();
    const homeless = { ...process.env, HOME: '/nonexistent', XDG_CACHE_HOME: '', XDG_DATA_HOME: '' };
    const nobody = /^nobody:[^:]*:(\d+):/m.exec(await readFile('/etc/passwd', 'utf8'))?.[1];
    const uid = isRoot ? Number(nobody) : (process.getuid?.() ?? 0);
    const place = join(dataFolder, 'inner');
    await mkdir(dataFolder);
    if (isRoot) await chmod(dataFolder, 0o777);
    const owner = startOwner(
      bench.checkout(),
      { dataFolder: place },
      { env: homeless, ...(isRoot ? { uid } : {}) },
    );
    onTestFinished(() => void owner.process.kill('SIGKILL'));
    expect(await owner.says()).toMatchObject({ version: '18.4' });
    expect(statSync(join(place, 'data')).uid).toBe(uid);
    expect(await readdir(place)).toContain('binaries');
    owner.process.stdin?.write('stop\n');
    await owner.ended();
  });

  it('may hold several servers that copy the binaries at the same time', async () => {
    const shared = join(bench.root(), 'cache-of-many');
    const folders = [
      await bench.usedDataFolder(),
      await bench.usedDataFolder(),
      await bench.usedDataFolder(),
    ];
    const owners = folders.map((dataFolder) => bench.own({ dataFolder, cacheFolder: shared }));
    const said = await Promise.all(owners.map((owner) => owner.says()));
    expect(new Set(said.map(({ url }) => url)).size).toBe(3);
    for (const { url } of said) expect(await query(url, 'SELECT 1')).toEqual([1]);
    expect(await readdir(shared)).toHaveLength(1);
  });

  it('never get a server that runs as root', async () => {
    const dataFolder = await bench.usedDataFolder();
    await bench.start({ dataFolder });
    const { uid } = await stat(join(dataFolder, 'data'));
    expect(uid).toBeGreaterThan(0);
    expect(await uidOf(await pidOf(dataFolder))).toBe(uid);
  });

  it.each([{ listen_addresses: '*' }, { port: '1' }, { 'x=1 -c y': '1' }])(
    'refuse the setting %j',
    async (settings) => {
      const refused = await failure(
        bench.start({
          dataFolder: bench.newDataFolder(),
          settings: { ...settings },
        }),
      );
      expect(refused.message).toMatch(/setting/);
    },
  );

  it('are shown what the server said when it does not start', async () => {
    const settings = { max_connections: 'many' };
    const refused = await failure(bench.start({ dataFolder: await bench.usedDataFolder(), settings }));
    expect(refused.message).toMatch(/server\.log:\n.*invalid value for parameter "max_connections": "many"/);
  });

  if (isRoot) {
    it('are told which folder the server user cannot pass', async () => {
      const closed = bench.newDataFolder();
      await mkdir(closed, { mode: 0o700 });
      const refused = await failure(bench.start({ dataFolder: join(closed, 'below', 'data') }));
      expect(refused.message).toContain(`${closed} isn't open to that user`);
    });
  }
});

async function uidOf(pid: number): Promise<number> {
  return (await stat(`/proc/${pid}`)).uid;
}
