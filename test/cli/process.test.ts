import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  startScriptedCoordinator,
  type ScriptedCoordinator,
  type Script,
} from '../support/scripted-coordinator.js';

/** What only a process of its own can show. */
let server: ScriptedCoordinator | undefined;
afterEach(() => {
  server?.stop();
  server = undefined;
});

const program = ['--import', 'tsx', 'src/main.ts'];

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawn(process.execPath, [...program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
}

function exitOf(child: ChildProcess): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
  return once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
}

async function startServer(scripts: Readonly<Record<string, Script>>): Promise<string> {
  server = await startScriptedCoordinator(scripts);
  return server.address;
}

describe('the process', { timeout: 20_000 }, () => {
  it('takes address and namespace from the environment, and ends with the exit code', async () => {
    const asked: object[] = [];
    const address = await startServer({
      begin: ({ ref }: { ref: object }) => {
        asked.push(ref);
        return { outcome: { $case: 'indeterminate', value: { attempt: 3 } } };
      },
    });
    const child = start(['begin', 'k', '--json'], {
      ONCEWARD_ADDRESS: address,
      ONCEWARD_NAMESPACE: 'orders',
    });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      exitOf(child),
    ]);
    expect({ code, stderr }).toEqual({ code: 12, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ indeterminate: { attempt: 3 } });
    expect(asked).toEqual([{ namespace: 'orders', scope: '', key: 'k' }]);
  });

  it('ends quietly when the reader of its pipe has seen enough', async () => {
    const child = start(['completion', 'bash']);
    child.stdout.destroy();
    const [stderr, [code, signal]] = await Promise.all([text(child.stderr), exitOf(child)]);
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  });

  it("fails with one line where its answer can't be written, as on a full disk", async () => {
    const readOnly = await open(import.meta.filename);
    onTestFinished(() => readOnly.close());
    const args = [...program, 'completion', 'bash'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', readOnly.fd, 'pipe'] });
    const [stderr, [code]] = await Promise.all([text(child.stderr!), exitOf(child)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: standard output can't be written to: .+\n$/);
  });

  it("ends with its exit code where its errors can't be written", async () => {
    const readOnly = await open(import.meta.filename);
    onTestFinished(() => readOnly.close());
    const args = [...program, 'begin'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', readOnly.fd] });
    expect(await exitOf(child)).toEqual([2, null]);
  });

  it('ends quietly, and as interrupted, on Ctrl-C', async () => {
    let arrive = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const address = await startServer({
      begin: () => {
        arrive();
        return new Promise<object>(() => undefined);
      },
    });
    const child = start(['begin', 'k', '--wait', '1m', '--address', address]);
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    await arrived;
    child.kill('SIGINT');
    // A shell loop around it stops only if the signal is what ended it.
    expect(await exitOf(child)).toEqual([null, 'SIGINT']);
    expect(await said).toEqual(['', '']);
  });
});
