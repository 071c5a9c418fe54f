import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { withoutDatabase } from '../support/outage.js';

/** The Python tests of this folder, one by one, on code that protoc makes of our .proto files here and now. */
const here = fileURLToPath(new URL('.', import.meta.url));
const page = readFileSync(join(here, 'README.md'), 'utf8');
/** It must know the modules grpc and google.protobuf. */
const python = process.env['ONCEWARD_TEST_PYTHON'] ?? 'python3';

let setup: TestSetup;
let one: TestCoordinator;
let folder: string;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'interop');
  folder = await mkdtemp(join(tmpdir(), 'onceward-interop-'));
  await symlink(join(here, '../../proto'), join(folder, 'proto'));
  // As the page says.
  await promisify(execFile)('bash', ['-euc', block('sh')], { cwd: folder });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await setup.stop();
});

/** The first block of code in this language on the page. */
function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'ms').exec(page)?.[1];
  if (found === undefined) throw new Error(`no ${language} on the page`);
  return found;
}

/** `module.Class.test_method` of every test in a file. */
function testsOf(module: string): readonly string[] {
  let inClass = '';
  return readFileSync(join(here, `${module}.py`), 'utf8')
    .split('\n')
    .flatMap((line) => {
      inClass = /^class (\w+)/.exec(line)?.[1] ?? inClass;
      const method = /^ {4}def (test_\w+)/.exec(line)?.[1];
      return method === undefined ? [] : [`${module}.${inClass}.${method}`];
    });
}

interface Run {
  /** Settled when it has said a line, or ended without. */
  readonly spoke: Promise<unknown>;
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

function start(test: string): Run {
  const child = spawn(python, ['-B', '-m', 'unittest', test], {
    cwd: here,
    timeout: 50_000,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONPATH: join(folder, 'generated'), ONCEWARD_ADDRESS: one.address },
  });
  const lines = createInterface(child.stdout);
  const stderr = text(child.stderr);
  const closed = once(child, 'close') as Promise<[number | null]>;
  return {
    spoke: Promise.race([once(lines, 'line'), once(lines, 'close')]),
    ended: Promise.all([closed, stderr]).then(([[code], said]) => ({ code, stderr: said })),
  };
}

async function passes({ ended }: Run): Promise<void> {
  expect(await ended).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^Ran 1 test in .*\n\nOK\n$/m) as string,
  });
}

describe.each(['life_cycle_test', 'once_test'])('%s', (module) => {
  it.each(testsOf(module))('%s', (test) => passes(start(test)));
});

it('outage_test: a store that is away and comes back', async () => {
  const [test] = testsOf('outage_test') as [string];
  const run = await withoutDatabase(setup.database, async () => {
    const started = start(test);
    await started.spoke;
    return started;
  });
  await passes(run);
});

it('the page shows the program that was run', () => {
  expect(readFileSync(join(here, 'once.py'), 'utf8')).toContain(block('python'));
});
