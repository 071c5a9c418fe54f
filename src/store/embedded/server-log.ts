import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import type { ServerUser } from './server-user.js';

/** Beyond this size a start sets the log aside, replacing the one set aside before. */
const keptBytes = 16 * 1024 * 1024;
const tailLines = 15;

export interface ServerLog {
  readonly path: string;
  readonly handle: FileHandle;
  /** Where this run's part begins. */
  readonly offset: number;
}

/** Opened by us for the server, which then needs no write access to the data folder itself. */
export async function openServerLog(path: string, user: ServerUser): Promise<ServerLog> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > keptBytes) await rename(path, `${path}.old`);
  // As root we must not be led elsewhere by a symlink the server's user put here.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  if (user.dropped) await handle.chown(user.uid, user.gid);
  return { path, handle, offset: (await handle.stat()).size };
}

/** The last lines this run wrote. */
export async function readTail(log: ServerLog): Promise<string> {
  const file = await open(log.path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(log.offset, size - 64 * 1024);
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(Math.max(0, size - start)),
      position: start,
    });
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-tailLines).join('\n');
  } finally {
    await file.close();
  }
}
