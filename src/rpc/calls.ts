import type { Coordinator } from '../coordinator/coordinator.js';
import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { Answer, CoordinatorService, type Call } from '../gen/onceward/v1/coordinator.js';
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
import { encode } from './encode.js';
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
export type AnswerCall = (call: Call, context: CallContext, carrier: 'batch' | 'session') => Promise<Answer>;

export function answerCallWith(calls: Calls, { log, observer, factsOf }: CallTools): AnswerCall {
  return (call, context, carrier) => {
    const { request } = call;
    const observed = observer.start({ method: methodOf(request), carrier, parent: () => parentOf(request) });
    return observed.run(() => answer(call, context, observed));
  };

  async function answer(
    { id, request }: Call,
    context: CallContext,
    observed: ObservedCall,
  ): Promise<Answer> {
    const answer: Answer = { id, response: undefined };
    try {
      switch (request?.$case) {
        case 'begin':
          answer.response = { $case: 'begin', value: await calls.begin(request.value, context) };
          break;
        case 'complete':
          answer.response = { $case: 'complete', value: await calls.complete(request.value, context) };
          break;
        case 'fail':
          answer.response = { $case: 'fail', value: await calls.fail(request.value, context) };
          break;
        case 'heartbeat':
          answer.response = { $case: 'heartbeat', value: await calls.heartbeat(request.value, context) };
          break;
        case 'lookup':
          answer.response = { $case: 'lookup', value: await calls.lookup(request.value, context) };
          break;
        case undefined:
          throw requestMissing();
      }
      observed.end('OK', undefined, () => factsOf(request.value, answer.response?.value));
    } catch (error) {
      const known = logged(error, log);
      observed.end(codeNameOf(known), known.reason, () => factsOf(request?.value ?? {}, undefined));
      answer.response = { $case: 'status', value: rpcStatusOf(known) };
    }
    return answer;
  }
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

/** At most what an answer takes besides payload and checkpoint, unless it carries a status, metadata or a record. */
const smallAnswerBytes = 512;

/** Bytes of an answer in its message at most, measured where its fields do not tell. */
export function bytesOfAnswer(answer: Answer): number {
  const { response } = answer;
  switch (response?.$case) {
    case 'complete':
    case 'fail':
    case 'heartbeat':
      return smallAnswerBytes;
    case 'begin':
      return bytesOfOutcome(response.value.outcome) ?? measured(answer);
    default:
      return measured(answer);
  }
}

function bytesOfOutcome(outcome: wire.BeginResponse['outcome']): number | undefined {
  if (outcome?.$case === 'execute') return smallAnswerBytes + (outcome.value.checkpoint?.length ?? 0);
  if (outcome?.$case !== 'replay') return smallAnswerBytes;
  const { result } = outcome.value;
  if (result === undefined) return smallAnswerBytes;
  const { status, initialMetadata, trailingMetadata, payload } = result;
  if (status !== undefined || initialMetadata.length > 0 || trailingMetadata.length > 0) return undefined;
  return smallAnswerBytes + (payload?.length ?? 0);
}

function measured(answer: Answer): number {
  return encode(Answer, answer).length + 8;
}
