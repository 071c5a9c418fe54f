import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface DevCoordinator {
  readonly address: string;
  /** Stops it as Ctrl-C does and gives back its exit code. */
  stop(): Promise<number | null>;
}

/** `onceward dev` as its own process, with a Postgres of its own and free ports. */
export async function startDevCoordinator(): Promise<DevCoordinator> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-cli-'));
  // As root the server's user has to pass through what mkdtemp makes for its maker alone.
  await chmod(folder, 0o755);
  const args = ['--import', 'tsx', 'src/main.ts', 'dev', '--port', '0', '--http-port', '0'];
  const child = spawn(process.execPath, [...args, '--data-dir', join(folder, 'postgres')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const address = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const found = /gRPC\s+(\S+:\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    void exited.then(() => {
      reject(new Error(`onceward dev ended: ${stderr}`));
    });
  });
  return {
    address,
    stop: async () => {
      child.kill('SIGINT');
      const [code] = await exited;
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}
