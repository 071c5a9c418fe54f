import type { IncomingMessage, ServerResponse } from 'node:http';
import { limits } from '../core/limits.js';
import { replayedAnswer, settlementOfAnswer, settlementOfThrown } from './http-answer.js';
import { HeldResponse, sendAnswer, type HeldEnd } from './http-held-response.js';
import { incomingRequest, type HttpIncoming } from './http-incoming.js';
import { formatKey } from './http-key.js';
import type { HttpAnswer, HttpRequest } from './http-message.js';
import { httpDefaults, type HttpOptions } from './http-options.js';
import { problem, problemOf } from './http-problem.js';
import { receivedBody } from './http-received-body.js';
import { HttpRefusal } from './http-refusal.js';
import type { Onceward } from './onceward.js';
import { endingOf } from './run.js';

type Next = (error?: Error) => unknown;

/**
 * Makes what comes after it idempotent by the header `Idempotency-Key`: middleware for Express and connect, before or after a body parser, and for
 * node:http with the handler as `next`. Nothing of a response is sent before it is stored. The promise is settled when the response is
 * handed over; it rejects with what `next` throws.
 */
export function idempotentMiddleware<Request extends IncomingMessage>(
  onceward: Onceward,
  options: HttpOptions<Request> = {},
): (request: Request, response: ServerResponse, next: Next) => Promise<void> {
  return async (request, response, next) => {
    let incoming: HttpIncoming | undefined;
    try {
      incoming = await incomingRequest(onceward, options, request, requestOf(request, response));
    } catch (error) {
      if (error instanceof HttpRefusal) {
        sendAnswer(response, problemOf(error));
        return;
      }
      // A handler that takes no error would run as if there were none.
      if (next.length === 0) throw error;
      await next(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (incoming === undefined) await next();
    else await answer(onceward, options, incoming, response, next);
  };
}

async function answer<Request>(
  onceward: Onceward,
  options: HttpOptions<Request>,
  { spec, minted }: HttpIncoming,
  response: ServerResponse,
  next: Next,
): Promise<void> {
  const { maxResponseBytes = httpDefaults.maxResponseBytes } = options;
  const more = minted ? [['idempotency-key', formatKey(spec.ref.key)] as const] : [];
  const held = new HeldResponse(response, Math.min(maxResponseBytes, limits.resultBytes), more);
  const answerOtherwise = (other: HttpAnswer) => {
    held.discard();
    if (!held.flows) sendAnswer(response, other);
  };
  let own: HeldEnd | undefined;
  try {
    const ending = await endingOf(onceward, spec, async () => {
      own = await held.record(() => next());
      return own.kind === 'answer' ? settlementOfAnswer(options, own.answer) : settlementOfThrown(own.error);
    });
    if (ending.kind === 'replay') {
      answerOtherwise(replayedAnswer(ending.replay));
      return;
    }
  } catch (error) {
    answerOtherwise(problemOf(error));
    return;
  }
  if (own?.kind === 'thrown') {
    answerOtherwise(problem(500, 'INTERNAL', 'the request failed'));
    throw own.error;
  }
  if (own?.kind === 'destroyed') held.discard();
  else held.release();
}

function requestOf(request: IncomingMessage, response: ServerResponse): HttpRequest {
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort();
  });
  // A router that is mounted below a path cuts it off `url`.
  const { originalUrl } = request as { readonly originalUrl?: string };
  return {
    method: request.method ?? '',
    target: originalUrl ?? request.url ?? '',
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    headerNames: () => Object.keys(request.headers),
    body: (maxBytes) => receivedBody(request, maxBytes),
    signal: gone.signal,
  };
}
