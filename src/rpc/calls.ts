import type { BeginOutcome } from '../coordinator/begin-outcome.js';
import type { Coordinator } from '../coordinator/coordinator.js';
import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { CoordinatorService, type Answer, type Call } from '../gen/onceward/v1/coordinator.js';
import type { ObservedCall } from '../telemetry/call-observer.js';
import { spanContextOf, type SpanContext } from '../telemetry/trace-context.js';
import {
  beginRequestOf,
  beginResponseOf,
  completeRequestOf,
  failRequestOf,
  heartbeatRequestOf,
} from './convert.js';
import { recordOf, wireStateOf } from './convert-record.js';
import { dateOf, durationOf } from './duration.js';
import { encodeResponse, type EncodedAnswer } from './encoded-answer.js';
import { codeNameOf, rpcStatusOf } from './status.js';
import { logged, type CallTools } from './unary.js';
import type * as wire from '../gen/onceward/v1/coordinator.js';
import type { Record } from '../gen/onceward/v1/record.js';

type Handle<Request, Response> = (request: Request, call: CallContext) => Promise<Response>;

export interface Calls {
  readonly begin: Handle<wire.BeginRequest, wire.BeginResponse>;
  readonly complete: Handle<wire.CompleteRequest, wire.CompleteResponse>;
  readonly fail: Handle<wire.FailRequest, wire.FailResponse>;
  readonly heartbeat: Handle<wire.HeartbeatRequest, wire.HeartbeatResponse>;
  readonly lookup: Handle<wire.LookupRequest, Record>;
}

/** The calls that come alone, in a Batch or on a Session: convert, verb, convert. */
export function callsOf(coordinator: Coordinator): Calls {
  return {
    begin: async (request, call) => beginResponseOf(await coordinator.begin(beginRequestOf(request), call)),
    complete: async (request) => {
      const { already, expireTime } = await coordinator.complete(completeRequestOf(request));
      return { already, expireTime: dateOf(expireTime) };
    },
    fail: async (request) => {
      const { already, state } = await coordinator.fail(failRequestOf(request));
      return { already, state: wireStateOf(state) };
    },
    heartbeat: async (request) => {
      const { leaseLeftMs } = await coordinator.heartbeat(heartbeatRequestOf(request));
      return { leaseLeft: durationOf(leaseLeftMs) };
    },
    lookup: async ({ ref, withResult, withLineage }) => {
      const answer = await coordinator.lookup({ ref, withResult, withLineage });
      return recordOf(answer, answer.children, answer.childrenOmitted);
    },
  };
}

/** Answers one of many calls; its failure is an answer too. */
export type AnswerCall = (
  call: Call,
  context: CallContext,
  carrier: 'batch' | 'session',
) => Promise<EncodedAnswer>;

export function answerCallWith(
  coordinator: Coordinator,
  calls: Calls,
  { log, observer, factsOf }: CallTools,
): AnswerCall {
  return (call, context, carrier) => {
    const { request } = call;
    const observed = observer.start({ method: methodOf(request), carrier, parent: () => parentOf(request) });
    return observed.run(() => answer(call, context, observed));
  };

  async function answer(
    { id, request }: Call,
    context: CallContext,
    observed: ObservedCall,
  ): Promise<EncodedAnswer> {
    try {
      let response: Answer['response'];
      switch (request?.$case) {
        case 'begin': {
          const outcome = await coordinator.begin(beginRequestOf(request.value), context);
          const encoded = encodedOutcome(outcome);
          observed.end('OK', undefined, () => factsOf(request.value, beginResponseOf(outcome)));
          return { id, response: encoded };
        }
        case 'complete':
          response = { $case: 'complete', value: await calls.complete(request.value, context) };
          break;
        case 'fail':
          response = { $case: 'fail', value: await calls.fail(request.value, context) };
          break;
        case 'heartbeat':
          response = { $case: 'heartbeat', value: await calls.heartbeat(request.value, context) };
          break;
        case 'lookup':
          response = { $case: 'lookup', value: await calls.lookup(request.value, context) };
          break;
        case undefined:
          throw requestMissing();
      }
      const encoded = encodeResponse(response);
      observed.end('OK', undefined, () => factsOf(request.value, response.value));
      return { id, response: encoded };
    } catch (error) {
      const known = logged(error, log);
      observed.end(codeNameOf(known), known.reason, () => factsOf(request?.value ?? {}, undefined));
      return { id, response: encodeResponse({ $case: 'status', value: rpcStatusOf(known) }) };
    }
  }
}

/** A small replay that is in the cache is encoded once for all who are answered with it. */
function encodedOutcome(outcome: BeginOutcome): Uint8Array {
  if (outcome.kind === 'replay' && outcome.encoded !== undefined) return outcome.encoded;
  const encoded = encodeResponse({ $case: 'begin', value: beginResponseOf(outcome) });
  if (outcome.kind === 'replay') outcome.keepEncoded?.(encoded);
  return encoded;
}

const methods = {
  begin: CoordinatorService.begin.path.slice(1),
  complete: CoordinatorService.complete.path.slice(1),
  fail: CoordinatorService.fail.path.slice(1),
  heartbeat: CoordinatorService.heartbeat.path.slice(1),
  lookup: CoordinatorService.lookup.path.slice(1),
};

/** The method that the call would be if it came by itself. */
function methodOf(request: Call['request']): string {
  return request === undefined ? '_OTHER' : methods[request.$case];
}

/** A stream is opened once, for calls of many traces: only what a call carries itself tells where it belongs. */
function parentOf(request: Call['request']): SpanContext | undefined {
  return request?.$case === 'begin' ? spanContextOf(request.value.traceparent) : undefined;
}

function requestMissing(): OncewardError {
  const violations = [
    { field: 'request', description: 'is required: begin, complete, fail, heartbeat or lookup' },
  ];
  return new OncewardError('REQUEST_INVALID', 'request is required', { violations });
}
