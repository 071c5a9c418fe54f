import { serving, spawnServe, type ServeProcess } from '../support/child.js';
import { runCommand } from './run-command.js';
import { once } from './once.js';

/** What is shipped is what is measured, the SDK too: the output of `npm run build`. */
export const build = once(() => runCommand('npm', ['run', '--silent', 'build']));

/** A coordinator as the container image runs it. */
export async function startCoordinator(
  databaseUrl: string,
  nodeFlags: readonly string[] = [],
): Promise<ServeProcess> {
  await build();
  const args = ['--database-url', databaseUrl, '--port', '0'];
  return serving(spawnServe(args, { built: true, nodeFlags }));
}
