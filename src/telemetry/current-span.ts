import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from '@opentelemetry/api';

/** Ours instead of the API's context manager, which is one for the process and would have to be registered. */
const storage = new AsyncLocalStorage<Span>();

/** The span of the call that is being worked on, recorded or not; undefined outside of a call, and while none are made. */
export function currentSpan(): Span | undefined {
  return storage.getStore();
}

export function withSpan<T>(span: Span, work: () => T): T {
  return storage.run(span, work);
}
