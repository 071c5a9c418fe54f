import type {
  handleUnaryCall,
  handleServerStreamingCall,
  MethodDefinition,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { codecFingerprinter, descriptorFingerprinter } from './canonical.js';
import { Serialized, type GuardedMethod, type ServiceOptions } from './guarded-method.js';
import { declaredPolicy, methodDescriptor, readDescriptors, type MethodPolicy } from './method-policy.js';
import type { Onceward } from './onceward.js';
import { guardStream } from './service-stream.js';
import { guardUnary } from './service-unary.js';

/** Credentials, and what belongs to one call. */
export const unreplayedNames: readonly string[] = [
  'authorization',
  'baggage',
  'cookie',
  'date',
  'proxy-authorization',
  'server-timing',
  'set-cookie',
  'traceparent',
  'tracestate',
];

/**
 * Makes the methods of a service idempotent: `server.addService(...idempotentService(onceward, PaymentsService, handlers))`. It stands
 * where handlers do and not among the interceptors, so that what they check (who is calling) is checked for replays too, the bytes of
 * requests and replies are at hand, and the caller's deadline does not cut a handler off from storing its result. Throws for methods
 * whose requests are streamed, as there is no telling what they ask for: declare them `skip`.
 */
export function idempotentService(
  onceward: Onceward,
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  options: ServiceOptions = {},
): [ServiceDefinition, UntypedServiceImplementation] {
  const methods: Record<string, MethodDefinition<unknown, unknown>> = {};
  const handlers: UntypedServiceImplementation = {};
  const registry = options.descriptors && readDescriptors(options.descriptors);
  const unknown = new Set(Object.keys(options.methods ?? {}));
  for (const [name, method] of Object.entries(definition as Record<string, NamedMethod>)) {
    const methodName = method.path.slice(method.path.lastIndexOf('/') + 1);
    unknown.delete(methodName);
    const given = implementation[name] ?? implementation[method.originalName ?? name];
    methods[name] = method;
    if (given === undefined) continue;
    // Bound as grpc-js does: it may be the method of a class.
    const handler: UntypedHandleCall = given.bind(implementation);
    handlers[name] = handler;
    const descriptor = methodDescriptor(registry, method.path);
    const policy = {
      ...options,
      ...defined(declaredPolicy(registry, descriptor, method)),
      ...defined(options.methods?.[methodName] ?? {}),
    };
    if (policy.skip === true) continue;
    if (method.requestStream) {
      throw new Error(
        `${method.path} streams its requests, which can't be made idempotent: declare it "skip"`,
      );
    }
    const exclude = policy.fingerprintExclude ?? [];
    const version = policy.fingerprintVersion ?? 1;
    if (descriptor === undefined && exclude.length > 0) {
      throw new Error(`${method.path}: fingerprintExclude needs descriptors that have this method`);
    }
    const fingerprinter = descriptor
      ? descriptorFingerprinter(descriptor.input, exclude, version)
      : codecFingerprinter(method.requestSerialize, version);
    const guarded: GuardedMethod = {
      path: method.path,
      policy,
      fingerprint: (request) => fingerprinter(bytesOf(method, request), request),
      serialize: method.responseSerialize,
      options,
      replays: replayRule(options.replayMetadata),
    };
    methods[name] = withBytes(method);
    handlers[name] = method.responseStream
      ? guardStream(onceward, guarded, handler as handleServerStreamingCall<unknown, unknown>)
      : guardUnary(onceward, guarded, handler as handleUnaryCall<unknown, unknown>);
  }
  for (const name of unknown) throw new Error(`methods.${name}: the service has no such method`);
  return [methods, handlers];
}

type NamedMethod = MethodDefinition<unknown, unknown> & { readonly originalName?: string };

/** An absent setting must not hide one that is there. */
function defined(policy: MethodPolicy): MethodPolicy {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
}

function replayRule(names: readonly string[] | undefined): (name: string) => boolean {
  const listed = new Set((names ?? unreplayedNames).map((name) => name.toLowerCase()));
  return names === undefined ? (name) => !listed.has(name) : (name) => listed.has(name);
}

/** The bytes that requests came in. Beside them and not around them, as interceptors of the server see requests too. */
const receivedBytes = new WeakMap<object, Buffer>();

/** What was sent, or what an interceptor put in its place. */
function bytesOf(method: MethodDefinition<unknown, unknown>, request: unknown): Buffer {
  return receivedBytes.get(request as object) ?? method.requestSerialize(request);
}

function withBytes(method: MethodDefinition<unknown, unknown>): MethodDefinition<unknown, unknown> {
  return {
    ...method,
    requestDeserialize: (bytes) => {
      const request = method.requestDeserialize(bytes);
      if (typeof request === 'object' && request !== null) receivedBytes.set(request, bytes);
      return request;
    },
    responseSerialize: (value) =>
      value instanceof Serialized ? value.bytes : method.responseSerialize(value),
  };
}
