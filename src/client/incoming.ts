import { OncewardError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { callerContext } from '../telemetry/operations.js';
import type { GuardedCall, GuardedMethod } from './guarded-method.js';
import { mintKey } from './mint-key.js';
import type { Onceward } from './onceward.js';
import { OperationError } from './operation-error.js';
import type { OperationSpec } from './operation-spec.js';
import { hopsIn, metadataCarrier, metadataNames, parentIn } from './propagation.js';

export interface Incoming {
  readonly spec: OperationSpec;
  /** The key was made here: its caller has to be told. */
  readonly minted: boolean;
}

/** What a call asks for; undefined when it runs unguarded. Throws what its caller did wrong. */
export function incomingOperation(
  { namespace }: Onceward,
  method: GuardedMethod,
  call: GuardedCall,
): Incoming | undefined {
  const { policy, options, path } = method;
  const { metadata } = call;
  const keys = metadata.get(metadataNames.key);
  if (keys.length > 1) throw keyError('must be given once');
  const given = keys[0]?.toString();
  if (given === undefined && policy.key === 'required') throw keyError('is required');
  if (given === undefined && policy.key === 'optional') return undefined;
  const hops = hopsIn(metadata) + 1;
  const maxHops = options.maxHops ?? limits.hops;
  if (hops > maxHops) {
    const text = `the call went through ${hops} services, more than ${maxHops}: probably a loop`;
    throw new OperationError('TOO_MANY_HOPS', text);
  }
  const key = given ?? mintKey();
  const gone = new AbortController();
  call.once('cancelled', () => {
    gone.abort();
  });
  return {
    minted: given === undefined,
    spec: {
      ...policy,
      ref: { namespace, scope: options.scopeOf?.(call) ?? '', key },
      operation: path,
      fingerprint: method.fingerprint(call.request),
      parent: parentIn(metadata),
      hops,
      waitMs: waitOf(policy.waitMs, call),
      signal: gone.signal,
      firstAttemptTime: undefined,
      caller: callerContext(metadata, metadataCarrier),
    },
  };
}

/** Leaves a tenth of the time for the answer to get back. */
function waitOf(askedMs: number | undefined, call: GuardedCall): number {
  const leftMs = Number(call.getDeadline()) - Date.now();
  const mostMs = Number.isFinite(leftMs) ? leftMs * 0.9 : Infinity;
  return Math.max(0, Math.min(askedMs ?? Infinity, mostMs, limits.waitMaxMs));
}

function keyError(description: string): OncewardError {
  const violations = [{ field: metadataNames.key, description }];
  return new OncewardError('REQUEST_INVALID', `${metadataNames.key} ${description}`, { violations });
}
