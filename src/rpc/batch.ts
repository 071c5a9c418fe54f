import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import type { BatchRequest } from '../gen/onceward/v1/coordinator.js';
import type { AnswerCall } from './calls.js';
import { bytesOfAnswer, encodeResponse, type EncodedAnswer } from './encoded-answer.js';
import { rpcStatusOf } from './status.js';

/** All calls at once; each has its own answer. */
export async function answerBatch(
  answerCall: AnswerCall,
  request: BatchRequest,
  context: CallContext,
): Promise<readonly EncodedAnswer[]> {
  const violations = new Violations();
  violations.range('calls', request.calls.length, 1, limits.callsPerFrame, ' calls');
  violations.throwIfAny();
  let bytes = 0;
  // Fitted as they come: all of them together may be gigabytes.
  return Promise.all(request.calls.map((call) => answerCall(call, context, 'batch').then(fit)));

  /** An answer that does not fit is asked for again alone: every call may be sent again. */
  function fit(answer: EncodedAnswer): EncodedAnswer {
    const answerBytes = bytesOfAnswer(answer);
    if (bytes + answerBytes <= limits.answerBytes) {
      bytes += answerBytes;
      return answer;
    }
    const text = 'the answers of this batch do not fit into one message; send this call again alone';
    const status = rpcStatusOf(new OncewardError('OVERLOADED', text, { retryAfterMs: 0 }));
    return { id: answer.id, response: encodeResponse({ $case: 'status', value: status }) };
  }
}
