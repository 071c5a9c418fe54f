import { limits } from '../core/limits.js';
import { callerContext } from '../telemetry/operations.js';
import { httpFingerprint } from './http-fingerprint.js';
import { keyIn } from './http-key.js';
import type { HttpRequest } from './http-message.js';
import { httpDefaults, type HttpOptions } from './http-options.js';
import { HttpRefusal } from './http-refusal.js';
import { mintKey } from './mint-key.js';
import type { Onceward } from './onceward.js';
import type { OperationSpec } from './operation-spec.js';

export interface HttpIncoming {
  readonly spec: OperationSpec;
  /** The key was made here: its caller has to be told. */
  readonly minted: boolean;
}

/** What a request asks for; undefined when it runs unguarded. Throws an HttpRefusal for what its caller did wrong. */
export async function incomingRequest<Request>(
  { namespace }: Onceward,
  options: HttpOptions<Request>,
  given: Request,
  request: HttpRequest,
): Promise<HttpIncoming | undefined> {
  const { methods = httpDefaults.methods, maxRequestBytes = httpDefaults.maxRequestBytes } = options;
  const { method, target, header } = request;
  if (!methods.includes(method)) return undefined;
  const value = header('idempotency-key');
  const policy = options.key ?? httpDefaults.key;
  if (value === undefined && policy === 'optional') return undefined;
  if (value === undefined && policy === 'required') {
    throw new HttpRefusal(400, 'REQUEST_INVALID', 'Idempotency-Key is required');
  }
  const key = value === undefined ? mintKey() : keyIn(value);
  const operation = options.operation?.(given) ?? defaultOperation(method, target);
  const scope = (await options.scopeOf?.(given)) ?? '';
  checkOwn('operation', operation, 1, limits.operationLength);
  checkOwn('scopeOf', scope, 0, limits.scopeLength);
  const fingerprint = httpFingerprint(method, target, await request.body(maxRequestBytes), {
    contentType: header('content-type') ?? '',
    contentEncoding: header('content-encoding') ?? '',
  });
  return {
    minted: value === undefined,
    spec: {
      ...options,
      ref: { namespace, scope, key },
      operation,
      fingerprint,
      parent: undefined,
      hops: 1,
      waitMs: Math.min(options.waitMs ?? 0, limits.waitMaxMs),
      signal: request.signal,
      firstAttemptTime: undefined,
      caller: callerContext(request, carrier),
    },
  };
}

const carrier = {
  get: (request: HttpRequest, name: string) => request.header(name),
  keys: (request: HttpRequest) => request.headerNames(),
};

/** What is cut off a long path still counts in the fingerprint. */
function defaultOperation(method: string, target: string): string {
  const [path = ''] = target.split('?', 1);
  return `${method}:${path.replace(/[^\x21-\x7e]/g, encodeURIComponent)}`.slice(0, limits.operationLength);
}

/** What the service says of a request is no fault of its caller, so it is thrown and not answered. */
function checkOwn(name: string, value: string, min: number, max: number): void {
  if (value.length < min || value.length > max || !/^[\x21-\x7e]*$/.test(value)) {
    throw new Error(`${name} must give ${min} to ${max} visible ASCII characters (0x21 to 0x7e)`);
  }
}
