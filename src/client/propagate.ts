import {
  InterceptingCall,
  Metadata,
  status,
  type CallOptions,
  type Interceptor,
  type InterceptorOptions,
  type NextCall,
} from '@grpc/grpc-js';
import { childKey } from '../core/derive.js';
import { limits } from '../core/limits.js';
import { injectContext } from '../telemetry/operations.js';
import { codecFingerprinter } from './canonical.js';
import { mintKey } from './mint-key.js';
import { runningOperation, type RunningOperation } from './operation.js';
import { formatParent, metadataCarrier, metadataNames } from './propagation.js';
import { retryRule, type RetryOptions } from './retry-rule.js';
import { retriedCall, type Stamp } from './retried-call.js';

export interface PropagationOptions {
  /**
   * Where keys may go: `host:port`, `*.domain:port`, a whole gRPC target, or a rule. To any other target a call goes without key, parent
   * and token. Default: wherever this interceptor's client calls.
   */
  readonly targets?: readonly string[] | ((target: string) => boolean);
  /** How unary calls that carry a key are sent again; false: not at all. */
  readonly retry?: RetryOptions | false;
  /** Services a chain of calls may go through. Default 32. */
  readonly maxHops?: number;
}

/** How one call is keyed. */
export interface KeyedCall {
  /** The key itself, instead of a derived or minted one. */
  readonly key?: string;
  /**
   * This call's name among the calls of its operation. It keeps its key whatever it sends; without, its content and the how-many-th call with that
   * content it is make the key.
   */
  readonly step?: string;
  /** Leaves the call alone: no key, no parent, no retry. */
  readonly skip?: boolean;
}

const keyedCall = Symbol('onceward.keyedCall');

/** Call options for one call: `client.charge(request, keyed({ step: 'fee' }), callback)`. */
export function keyed(call: KeyedCall, options: CallOptions = {}): CallOptions {
  return { ...options, [keyedCall]: call } as CallOptions;
}

/**
 * Puts a key on outgoing calls: the one given, else one derived from the operation this code runs in, else a new one for each logical call.
 * It sits above every retry, so all attempts of a call carry one key.
 */
export function propagate(options: PropagationOptions = {}): Interceptor {
  const retry = options.retry === false ? undefined : retryRule(options.retry);
  const allows = targetRule(options.targets);
  const maxHops = options.maxHops ?? limits.hops;
  return (callOptions, nextCall) => {
    const { [keyedCall]: call = {}, ...rest } = callOptions as InterceptorOptions & {
      [keyedCall]?: KeyedCall;
    };
    const first = nextCall(rest);
    if (call.skip === true || !allows(first.getPeer())) return withoutKey(first);
    const operation = runningOperation();
    if (operation !== undefined && operation.hops >= maxHops) return refused(first, operation.hops);
    const { method_definition: method } = callOptions;
    const stamp: Stamp = (metadata, message) => stamped(metadata, call, operation, method, message);
    if (!method.requestStream && !method.responseStream && retry !== undefined) {
      const deadlineTime = Number(rest.deadline ?? Infinity);
      return retriedCall(first, () => nextCall(rest), stamp, retry, deadlineTime);
    }
    return method.requestStream ? stampedAtStart(first, stamp) : stampedAtMessage(first, stamp);
  };
}

type Method = InterceptorOptions['method_definition'];
type NextCallMade = ReturnType<NextCall>;

/** A copy: its caller may send the same Metadata with many calls. */
function stamped(
  given: Metadata,
  call: KeyedCall,
  operation: RunningOperation | undefined,
  method: Method,
  message: unknown,
): Metadata {
  const metadata = given.clone();
  const explicit = call.key ?? metadata.get(metadataNames.key)[0]?.toString();
  metadata.set(metadataNames.key, explicit ?? derivedKey(call, operation, method, message));
  if (operation !== undefined) {
    metadata.set(metadataNames.parent, formatParent(operation.ref));
    metadata.set(metadataNames.hops, String(operation.hops));
    if (operation.guarded) metadata.set(metadataNames.fencingToken, String(operation.fencingToken));
  }
  // An instrumentation that was there before knows its own span better.
  if (metadata.get('traceparent').length === 0) injectContext(metadata, metadataCarrier.set);
  return metadata;
}

function derivedKey(
  { step }: KeyedCall,
  operation: RunningOperation | undefined,
  { path, requestSerialize }: Method,
  message: unknown,
): string {
  if (operation === undefined) return mintKey();
  if (step !== undefined) return childKey(operation.ref, path, { kind: 'step', step });
  const { digest } =
    message === undefined
      ? { digest: Buffer.alloc(0) }
      : codecFingerprinter(requestSerialize as (value: unknown) => Buffer, 0)(Buffer.alloc(0), message);
  const occurrence = operation.occurrence(path, digest);
  return childKey(operation.ref, path, { kind: 'content', digest, occurrence });
}

/** The key of a call with one request depends on it, so the call is started with it. */
function stampedAtMessage(call: NextCallMade, stamp: Stamp): InterceptingCall {
  let start: ((message: unknown) => void) | undefined;
  return new InterceptingCall(call, {
    start: (metadata, listener, next) => {
      start = (message) => {
        next(stamp(metadata, message), listener);
      };
    },
    sendMessage: (message: unknown, next) => {
      start?.(message);
      next(message);
    },
  });
}

function stampedAtStart(call: NextCallMade, stamp: Stamp): InterceptingCall {
  return new InterceptingCall(call, {
    start: (metadata, listener, next) => {
      next(stamp(metadata, undefined), listener);
    },
  });
}

function withoutKey(call: NextCallMade): InterceptingCall {
  return new InterceptingCall(call, {
    start: (given, listener, next) => {
      const metadata = given.clone();
      const { key, parent, hops, fencingToken } = metadataNames;
      for (const name of [key, parent, hops, fencingToken]) metadata.remove(name);
      if (metadata.get('traceparent').length === 0) injectContext(metadata, metadataCarrier.set);
      next(metadata, listener);
    },
  });
}

function refused(call: NextCallMade, hops: number): InterceptingCall {
  return new InterceptingCall(call, {
    start: (_, listener) => {
      const details = `the call would go through more than ${hops} services: probably a loop`;
      listener.onReceiveStatus({ code: status.FAILED_PRECONDITION, details, metadata: new Metadata() });
    },
    sendMessage: () => undefined,
    halfClose: () => undefined,
  });
}

function targetRule(targets: PropagationOptions['targets']): (target: string) => boolean {
  if (targets === undefined) return () => true;
  if (typeof targets === 'function') return targets;
  return (target) => {
    // grpc-js says `scheme:name` or `scheme://authority/name`.
    const name = target.replace(/^[a-z][a-z0-9+.-]*:(\/\/[^/]*\/)?/, '');
    return targets.some((allowed) =>
      allowed.startsWith('*.') ? name.endsWith(allowed.slice(1)) : allowed === target || allowed === name,
    );
  };
}
