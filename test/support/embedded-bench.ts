import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, onTestFinished, vi } from 'vitest';
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from '../../src/store/embedded/embedded-postgres.js';
import {
  eventually,
  isRunning,
  makeCheckout,
  makeTestFolder,
  type Owner,
  removeTestFolder,
  serverPid,
  startOwner,
} from './embedded-checkout.js';

/** One place per test file with a checkout and data folders; whatever a test starts ends with the test. */
export interface TestBench {
  root(): string;
  checkout(): string;
  newDataFolder(): string;
  /** One that has been served before, for tests that are not about the first start: initdb takes a second. */
  usedDataFolder(bin?: EmbeddedPostgresOptions): Promise<string>;
  /** Starts in this process. */
  start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres>;
  /** Starts in a process of its own. */
  own(options: EmbeddedPostgresOptions & { readonly dataFolder: string }, manner?: 'forget'): Owner;
}

export function useTestBench(): TestBench {
  // Real servers on a busy machine; a deadlock still fails before anybody loses patience.
  vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
  let root = '';
  let count = 0;
  const owners: Owner[] = [];
  const templates = new Map<string, Promise<string>>();
  const checkout = (): string => join(root, 'checkout');
  const newDataFolder = (): string => join(root, `instance-${++count}`);

  beforeAll(async () => {
    root = await makeTestFolder();
    await makeCheckout(checkout());
  });
  afterAll(() => removeTestFolder(root));

  return {
    root: () => root,
    checkout,
    newDataFolder,
    usedDataFolder: async (bin = {}) => {
      const flavour = bin.binFolder ?? '';
      const template = templates.get(flavour) ?? makeTemplate({ ...bin, dataFolder: newDataFolder() });
      templates.set(flavour, template);
      const dataFolder = newDataFolder();
      await promisify(execFile)('cp', ['-a', await template, dataFolder]);
      return dataFolder;
    },
    start: async (options) => {
      const server = await startEmbeddedPostgres(options);
      onTestFinished(() => server.stop());
      return server;
    },
    own: (options, manner) => {
      const owner = startOwner(checkout(), options, manner ? { manner } : {});
      owners.push(owner);
      onTestFinished(() => endOwners(owners, options.dataFolder));
      return owner;
    },
  };
}

export async function pidOf(dataFolder: string): Promise<number> {
  await eventually('postmaster.pid appears', () => serverPid(dataFolder) !== undefined);
  return serverPid(dataFolder) ?? 0;
}

export async function failure(attempt: Promise<unknown>): Promise<Error> {
  return attempt.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error as Error,
  );
}

async function makeTemplate(options: EmbeddedPostgresOptions): Promise<string> {
  const server = await startEmbeddedPostgres(options);
  await server.stop();
  return server.dataFolder;
}

/** All of them, because the one that serves the folder needn't be the one whose turn to end has come. */
async function endOwners(owners: readonly Owner[], dataFolder: string): Promise<void> {
  for (const owner of owners) owner.process.kill('SIGKILL');
  await Promise.all(owners.map((owner) => owner.ended()));
  const pid = serverPid(dataFolder);
  if (pid !== undefined) await eventually('the server ends after the test', () => !isRunning(pid));
}
