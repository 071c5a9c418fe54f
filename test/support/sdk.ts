import { onTestFinished } from 'vitest';
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
