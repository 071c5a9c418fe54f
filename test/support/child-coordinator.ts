import { onTestFinished } from 'vitest';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { runChild, said, type TestProcess } from './child-process.js';

/** A coordinator in a process of its own, to be killed and stopped, and a real channel to it. */
export interface ChildCoordinator extends CoordinatorConnection, TestProcess {
  readonly address: string;
  readonly httpPort: number;
}

export interface ChildSettings {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Modules to load first. */
  readonly imports?: readonly string[];
}

/** Starts `onceward serve`; free ports unless the arguments name some. */
export function serve(args: readonly string[], settings: ChildSettings = {}): TestProcess {
  return runChild(['src/main.ts', 'serve', '--port', '0', '--http-port', '0', ...args], settings);
}

export async function startChildCoordinator(
  databaseUrl: string,
  settings: ChildSettings = {},
): Promise<ChildCoordinator> {
  const child = serve(['--database-url', databaseUrl, ...(settings.args ?? [])], settings);
  return connectTo(child);
}

/** Waits until it serves. */
export async function connectTo(child: TestProcess): Promise<ChildCoordinator> {
  const line = await said(child, 'errors', /"msg":"serving"/);
  const { rpcPort, httpPort } = JSON.parse(line) as { readonly rpcPort: number; readonly httpPort: number };
  const address = `127.0.0.1:${rpcPort}`;
  const connection = connectCoordinator({ address });
  onTestFinished(() => connection.close());
  return { ...connection, ...child, address, httpPort };
}
