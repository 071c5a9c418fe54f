import { onTestFinished } from 'vitest';
import { guard, type GuardSpec } from '../../src/client/guard.js';
import type { Operation } from '../../src/client/operation.js';
import { OperationError } from '../../src/client/operation-error.js';
import { connectOnceward, type Onceward, type OncewardOptions } from '../../src/client/onceward.js';
import { startFaultProxy, type FaultProxy } from './fault-proxy.js';

/** A service's way to coordinators, closed when the test ends. */
export function connected(
  addresses: readonly string[],
  options: Partial<Omit<OncewardOptions, 'addresses'>> = {},
): Onceward {
  const onceward = connectOnceward({ addresses, namespace: 'test', ...options });
  onTestFinished(() => onceward.close());
  return onceward;
}

/** A proxy in front of a coordinator, closed when the test ends. */
export async function proxied(target: string): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target, protocol: 'http2' });
  onTestFinished(() => proxy.close());
  return proxy;
}

/** A promise to be settled from outside: it holds a function up for as long as a test wants. */
export function gate<T = void>(): {
  readonly passed: Promise<T>;
  readonly open: (value: T) => void;
} {
  let open!: (value: T) => void;
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

export type Run<T> = (operation: Operation) => T | Promise<T>;
export type Charge = <T>(key: string, run: Run<T>, more?: Partial<GuardSpec<T>>) => Promise<T>;

/** A service, its guarded function, and the executions there were. */
export function service(
  addresses: readonly string[],
  options: Partial<OncewardOptions> = {},
): { readonly onceward: Onceward; readonly charge: Charge; readonly runs: readonly Operation[] } {
  const onceward = connected(addresses, options);
  const runs: Operation[] = [];
  return {
    onceward,
    runs,
    charge: (key, run, more = {}) =>
      guard(onceward, { key, operation: 'charge', ...more }, async (operation) => {
        runs.push(operation);
        return run(operation);
      }),
  };
}

/** The error of an operation that has no answer to give. */
export async function operationError(call: Promise<unknown>): Promise<OperationError> {
  const error = await call.then(
    (value: unknown) => value,
    (reason: unknown) => reason,
  );
  if (error instanceof OperationError) return error;
  throw new Error(`expected an OperationError, got ${String(error)}`);
}
