import { limits } from '../core/limits.js';
import { replayedAnswer, settlementOfAnswer, settlementOfThrown } from './http-answer.js';
import { heldBody, type HeldBody } from './http-held-body.js';
import { incomingRequest, type HttpIncoming } from './http-incoming.js';
import { formatKey } from './http-key.js';
import { bodiless, type HttpAnswer, type HttpRequest } from './http-message.js';
import { httpDefaults, type HttpOptions } from './http-options.js';
import { problemOf } from './http-problem.js';
import { tooLarge } from './http-received-body.js';
import { HttpRefusal } from './http-refusal.js';
import type { Onceward } from './onceward.js';
import { runInside } from './operation.js';
import { endingOf } from './run.js';

/**
 * Makes a handler of the fetch style, a Request in and a Response out, idempotent by the header `Idempotency-Key`. The response is given when
 * it is stored, or, beyond the bound, when it begins to flow; then its end waits for the storing. Further arguments are handed on.
 */
export function idempotentFetch<Rest extends readonly unknown[]>(
  onceward: Onceward,
  options: HttpOptions<Request>,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    let incoming: HttpIncoming | undefined;
    try {
      incoming = await incomingRequest(onceward, options, request, requestOf(request));
    } catch (error) {
      if (error instanceof HttpRefusal) return responseOf(problemOf(error));
      throw error;
    }
    if (incoming === undefined) return handler(request, ...rest);
    const { spec, minted } = incoming;
    const more = minted ? [['idempotency-key', formatKey(spec.ref.key)] as const] : [];
    return new Promise((resolve, reject) => {
      const run = async () => handler(request, ...rest);
      answer(onceward, options, spec, run, more, resolve).then(resolve, reject);
    });
  };
}

type Own =
  | { readonly kind: 'answer'; readonly response: Response; readonly body: HeldBody }
  | { readonly kind: 'thrown'; readonly error: unknown };

async function answer(
  onceward: Onceward,
  options: HttpOptions<Request>,
  spec: HttpIncoming['spec'],
  run: () => Promise<Response>,
  more: HttpAnswer['headers'],
  onFlow: (response: Response) => void,
): Promise<Response> {
  const { maxResponseBytes = httpDefaults.maxResponseBytes } = options;
  const boundBytes = Math.min(maxResponseBytes, limits.resultBytes);
  let own: Own | undefined;
  let flows: Extract<HeldBody, { kind: 'flows' }> | undefined;
  try {
    const ending = await endingOf(onceward, spec, async (operation) => {
      try {
        const response = await run();
        const body = await heldBody(response.body, boundBytes, (read) => runInside(operation, read));
        own = { kind: 'answer', response, body };
        if (body.kind === 'flows') {
          flows = body;
          onFlow(withBody(response, body.stream, more));
          await body.ended;
        }
        return settlementOfAnswer(options, {
          status: response.status,
          headers: [...response.headers],
          body: body.kind === 'held' ? body.bytes : undefined,
        });
      } catch (error) {
        own = { kind: 'thrown', error };
        return settlementOfThrown(error);
      }
    });
    if (ending.kind === 'replay') {
      flows?.break(new Error('another execution took over, and this response does not count'));
      return responseOf(replayedAnswer(ending.replay));
    }
  } catch (error) {
    flows?.break(error);
    return responseOf(problemOf(error));
  }
  if (own === undefined) throw new Error('an execution ended without an outcome');
  if (own.kind === 'thrown') {
    flows?.break(own.error);
    throw own.error;
  }
  if (own.body.kind === 'held') return withBody(own.response, own.body.bytes, more);
  own.body.close();
  return own.response;
}

function requestOf(request: Request): HttpRequest {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    target: pathname + search,
    header: (name) => request.headers.get(name) ?? undefined,
    headerNames: () => [...request.headers.keys()],
    body: async (maxBytes) => {
      if (request.bodyUsed) throw new Error('the body of the request was read before idempotentFetch');
      const body = await heldBody(request.clone().body, maxBytes, (read) => read());
      if (body.kind === 'held') return body;
      throw tooLarge(maxBytes);
    },
    signal: request.signal,
  };
}

function responseOf({ status, headers, body }: HttpAnswer): Response {
  const list = headers.map(([name, value]): [string, string] => [name, value]);
  return new Response(bodiless.has(status) ? null : body, { status, headers: list });
}

/** The handler's response, whose body has been read. */
function withBody(
  response: Response,
  body: Uint8Array | ReadableStream<Uint8Array>,
  more: HttpAnswer['headers'],
): Response {
  // Below 200 it is no response that could be copied: an error, or a change of protocol.
  if (response.status < 200 || (response.body === null && more.length === 0)) return response;
  const { status, statusText, headers } = response;
  const copy = new Response(response.body === null ? null : body, { status, statusText, headers });
  // Else a caller would have all of a body that flows, and think it done, before that is stored.
  if (!(body instanceof Uint8Array)) copy.headers.delete('content-length');
  for (const [name, value] of more) copy.headers.set(name, value);
  return copy;
}
