import { onTestFinished } from 'vitest';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import {
  type Child,
  type ChildSettings,
  type ServeProcess,
  serving,
  spawnServe,
  startChild,
} from './child.js';

/** A coordinator in a process of its own, to be killed and stopped, and a real channel to it. */
export type ChildCoordinator = CoordinatorConnection & ServeProcess;

/** A process that is killed when the test ends. */
export function runChild(args: readonly string[], settings: ChildSettings = {}): Child {
  return endedWithTest(startChild(args, settings));
}

/** Starts `onceward serve`; free ports unless the arguments name some. */
export function serve(args: readonly string[], settings: ChildSettings = {}): Child {
  return endedWithTest(spawnServe(args, settings));
}

export async function startChildCoordinator(
  databaseUrl: string,
  args: readonly string[] = [],
  settings: ChildSettings = {},
): Promise<ChildCoordinator> {
  return connectTo(serve(['--database-url', databaseUrl, ...args], settings));
}

/** Waits until it serves. */
export async function connectTo(child: Child): Promise<ChildCoordinator> {
  const process = await serving(child);
  const connection = connectCoordinator({ address: process.address });
  onTestFinished(() => connection.close());
  return { ...connection, ...process };
}

function endedWithTest(child: Child): Child {
  onTestFinished(child.kill);
  return child;
}
