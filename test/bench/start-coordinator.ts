import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serving, spawnServe, type ServeProcess } from '../support/child.js';
import { runCommand } from './run-command.js';
import { once } from './once.js';
import type { Undo } from './with-undo.js';

/** What is shipped is what is measured, the SDK too: the output of `npm run build`. */
export const build = once(() => runCommand('npm', ['run', '--silent', 'build']));

/** A coordinator as the container image runs it, called by a Unix socket as its Postgres is. `undo` stops it. */
export async function startCoordinator(
  undo: Undo,
  databaseUrl: string,
  nodeFlags: readonly string[] = [],
): Promise<ServeProcess> {
  await build();
  const folder = await mkdtemp(join(tmpdir(), 'onceward-bench-'));
  await undo(() => rm(folder, { recursive: true }));
  const socket = join(folder, 'onceward.sock');
  const child = spawnServe(['--database-url', databaseUrl, '--socket', socket], { built: true, nodeFlags });
  await undo(() => child.stop());
  return { ...(await serving(child)), address: `unix:${socket}` };
}
