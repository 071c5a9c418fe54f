import { mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../support/until.js';
import { startProgram } from './program.js';

export interface Redis {
  /** Its Unix socket, as Postgres has one. */
  readonly path: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** A Redis with nothing in it. `always`: every write is in the append-only file and synced before it is acknowledged. */
export async function startRedis(parentFolder: string, durability: 'none' | 'always'): Promise<Redis> {
  const folder = join(parentFolder, `redis-${durability}`);
  await mkdir(folder);
  const path = join(folder, 'redis.sock');
  const logFile = join(folder, 'log');
  const kept = durability === 'always' ? ['yes', '--appendfsync', 'always'] : ['no'];
  const flags = ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '', '--appendonly', ...kept];
  const program = await startProgram('redis-server', flags, { logFile });
  try {
    await until('Redis answers', async () => program.hasEnded() || (await answers(path)));
    if (program.hasEnded()) throw new Error(`Redis did not start:\n${await readFile(logFile, 'utf8')}`);
  } catch (error) {
    await program.kill();
    throw error;
  }
  return { path, pid: program.pid, stop: () => program.kill() };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write('PING\r\n'));
    socket.on('error', reject);
    socket.on('data', (data) => {
      socket.destroy();
      resolve(data.toString().startsWith('+PONG'));
    });
  });
}
