import type { Coordinator } from '../coordinator/coordinator.js';
import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { Answer, CoordinatorService, type Call } from '../gen/onceward/v1/coordinator.js';
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
  return async ({ id, request }, context, carrier) => {
    const method = methodOf(request);
    const observed = observer.start({ method, carrier, parent: () => parentOf(request) });
    const facts = (response?: Answer['response']) => factsOf(request?.value ?? {}, response?.value);
    try {
      const response = await observed.run(() => dispatch(calls, request, context));
      observed.end({ code: 'OK', facts: () => facts(response) });
      return { id, response };
    } catch (error) {
      const known = logged(error, log);
      observed.end({ code: codeNameOf(known), reason: known.reason, facts: () => facts() });
      return { id, response: { $case: 'status', value: rpcStatusOf(known) } };
    }
  };
}

/** The method that the call would be if it came by itself. */
function methodOf(request: Call['request']): string {
  if (request === undefined) return '_OTHER';
  return CoordinatorService[request.$case].path.slice(1);
}

/** A stream is opened once, for calls of many traces: only what a call carries itself tells where it belongs. */
function parentOf(request: Call['request']): SpanContext | undefined {
  return request?.$case === 'begin' ? spanContextOf(request.value.traceparent) : undefined;
}

async function dispatch(
  calls: Calls,
  request: Call['request'],
  context: CallContext,
): Promise<Answer['response']> {
  switch (request?.$case) {
    case 'begin':
      return { $case: 'begin', value: await calls.begin(request.value, context) };
    case 'complete':
      return { $case: 'complete', value: await calls.complete(request.value, context) };
    case 'fail':
      return { $case: 'fail', value: await calls.fail(request.value, context) };
    case 'heartbeat':
      return { $case: 'heartbeat', value: await calls.heartbeat(request.value, context) };
    case 'lookup':
      return { $case: 'lookup', value: await calls.lookup(request.value, context) };
    case undefined:
      throw new OncewardError('REQUEST_INVALID', 'request is required', {
        violations: [
          { field: 'request', description: 'is required: begin, complete, fail, heartbeat or lookup' },
        ],
      });
  }
}

/** Answers without caller's bytes are smaller than this. */
const smallAnswerBytes = 512;

/** Bytes of an answer in its message, measured where it may be large. */
export function bytesOfAnswer(answer: Answer): number {
  const { response } = answer;
  const small =
    response?.$case === 'complete' ||
    response?.$case === 'fail' ||
    response?.$case === 'heartbeat' ||
    (response?.$case === 'begin' && response.value.outcome?.$case === 'inProgress');
  return small ? smallAnswerBytes : Answer.encode(answer).finish().length + 8;
}
