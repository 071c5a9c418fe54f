import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';

/** Removes a socket on which nobody listens, as a killed process leaves it. */
export async function removeLeftSocket(path: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
  if (isSocket && !(await hasListener(path))) await unlink(path);
}

function hasListener(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== 'ECONNREFUSED');
    });
  });
}
