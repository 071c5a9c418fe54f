import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { appendHeaders, headOf, setHead, valuesOf, type Head } from './http-head.js';
import { bodiless, type HttpAnswer } from './http-message.js';

export type HeldEnd =
  | { readonly kind: 'answer'; readonly answer: HttpAnswer }
  /** `destroyed`: by the handler itself, or answered before it ran, so that nothing can be answered any more. */
  | { readonly kind: 'thrown' | 'destroyed'; readonly error: unknown };

type Callback = (error?: Error | null) => void;

/**
 * Takes over a response in front of its handler: holds it back up to a bound, and lets it flow beyond. It stays the same object, because
 * frameworks hand theirs on; what they set on it before is theirs, and neither stored nor replayed. That the caller left is kept from the
 * handler, which would stop half-way.
 */
export class HeldResponse {
  readonly #response: ServerResponse;
  readonly #boundBytes: number;
  readonly #more: HttpAnswer['headers'];
  readonly #before: Head;
  readonly #restores = new Map<string, () => void>();
  readonly #real: Pick<ServerResponse, 'write' | 'destroy' | 'emit'>;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #chunksStatus = 0;
  #end: Head | undefined;
  #endCallback: Callback | undefined;
  #headWritten = false;
  #left = false;
  #destroyed = false;
  /** The bound is passed: what is written goes out at once. */
  flows = false;

  /** `more`: headers that go out with what the handler answered, and are none of it. */
  constructor(response: ServerResponse, boundBytes: number, more: HttpAnswer['headers']) {
    this.#response = response;
    this.#more = more;
    this.#boundBytes = boundBytes;
    this.#before = headOf(response);
    this.#real = {
      write: response.write.bind(response),
      destroy: response.destroy.bind(response),
      emit: response.emit.bind(response),
    };
  }

  /** Runs the handler until it ends its response, throws, or destroys it. */
  record(handler: () => unknown): Promise<HeldEnd> {
    // By a time-out, for one, while the guard waited; the handler would fail half-way, at the first header it sets.
    if (this.#response.headersSent) {
      return Promise.resolve({ kind: 'destroyed', error: new Error('answered before the handler ran') });
    }
    return new Promise((resolve) => {
      this.#takeOver(resolve);
      const run = async () => {
        await handler();
      };
      run().catch((error: unknown) => {
        // What is thrown after the end has no place in the response, and is no less unhandled.
        if (this.#end !== undefined) throw error;
        resolve({ kind: 'thrown', error });
      });
    });
  }

  /** Lets out what was held back, or ends what has flowed. */
  release(): void {
    this.#restore();
    const response = this.#response;
    if (this.#end === undefined) return;
    if (this.flows) {
      response.end(this.#endCallback);
    } else {
      const body = Buffer.concat(this.#chunks);
      setHead(response, this.#end);
      for (const [name, value] of this.#more) response.setHeader(name, value);
      if (bodiless.has(response.statusCode)) response.removeHeader('content-length');
      else if (!response.hasHeader('transfer-encoding')) response.setHeader('content-length', body.length);
      response.end(body, this.#endCallback);
    }
    this.#tellClosed();
  }

  /** Forgets what the handler answered, so that something else can be. What has flowed can't be taken back, only cut off. */
  discard(): void {
    this.#restore();
    if (this.flows) this.#response.destroy();
    else if (!this.#response.headersSent) setHead(this.#response, this.#before);
    this.#tellClosed();
  }

  #takeOver(resolve: (end: HeldEnd) => void): void {
    const response = this.#response;
    const kind = Object.getPrototypeOf(response) as object;
    const held = {
      write: { value: (...args: unknown[]) => this.#write(args), writable: true },
      end: {
        value: (...args: unknown[]) => {
          if (this.#finish(args)) resolve({ kind: 'answer', answer: this.#answer() });
          return response;
        },
        writable: true,
      },
      writeHead: { value: (...args: unknown[]) => this.#writeHead(args), writable: true },
      flushHeaders: { value: () => undefined, writable: true },
      destroy: {
        value: (error?: Error) => {
          this.#destroyed = true;
          resolve({ kind: 'destroyed', error: error ?? new Error('the handler destroyed its response') });
          return this.#real.destroy(error);
        },
        writable: true,
      },
      emit: { value: (event: string, ...args: unknown[]) => this.#emit(event, args), writable: true },
      // Until its end an error may still become another answer.
      headersSent: { get: () => this.flows || this.#end !== undefined },
      writableEnded: { get: () => this.#end !== undefined },
      // What begins to pipe to it looks at these: a closed one fails it, and for the `drain` of one that left it would wait for ever.
      closed: { get: () => this.#destroyed },
      writableNeedDrain: {
        get: () => !this.#left && Reflect.get(kind, 'writableNeedDrain', response) === true,
      },
    } satisfies PropertyDescriptorMap;
    for (const [name, descriptor] of Object.entries(held)) {
      const own = Object.getOwnPropertyDescriptor(response, name);
      Object.defineProperty(response, name, { ...descriptor, configurable: true });
      this.#restores.set(name, () => {
        if (own === undefined) Reflect.deleteProperty(response, name);
        else Object.defineProperty(response, name, own);
      });
    }
    if (response.destroyed) this.#keepLeft();
  }

  #restore(): void {
    for (const restore of this.#restores.values()) restore();
    this.#restores.clear();
    if (this.#left) this.#response.destroyed = true;
  }

  /** The caller left. Node marks the response destroyed then; while the handler is at it, only the handler's own `destroy` does. */
  #keepLeft(): void {
    this.#left = true;
    this.#response.destroyed = this.#destroyed;
  }

  #tellClosed(): void {
    if (this.#left) this.#response.emit('close');
  }

  #write(args: readonly unknown[]): boolean {
    const { chunk, callback } = writtenOf(args);
    if (this.#end !== undefined) {
      if (callback !== undefined) process.nextTick(callback, new Error('write after end'));
      return false;
    }
    if (!this.flows) {
      const { statusCode } = this.#response;
      // Another status after the body began: an error handler answers anew.
      if (statusCode !== this.#chunksStatus) this.#forget();
      this.#chunksStatus = statusCode;
      this.#bytes += chunk.length;
      if (this.#bytes <= this.#boundBytes) {
        this.#chunks.push(chunk);
        if (callback !== undefined) process.nextTick(callback);
        return true;
      }
      this.#flow();
    }
    return this.#send(chunk, callback);
  }

  #forget(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }

  /** Node writes a head that nobody wrote, and what others put in place of writeHead behind the guard sets headers then. */
  #writeHeadOnce(): void {
    if (!this.#headWritten) this.#response.writeHead(this.#response.statusCode);
  }

  #flow(): void {
    this.#writeHeadOnce();
    this.flows = true;
    // Else a caller would have all of it, and think it done, before that is stored.
    this.#response.removeHeader('content-length');
    for (const name of ['writeHead', 'flushHeaders']) this.#restores.get(name)?.();
    for (const [name, value] of this.#more) this.#response.setHeader(name, value);
    for (const chunk of this.#chunks) this.#send(chunk, undefined);
    this.#chunks = [];
  }

  /** A caller that left takes no more; the handler goes on without it. */
  #send(chunk: Buffer, callback: Callback | undefined): boolean {
    if (!this.#left && !this.#response.destroyed) return this.#real.write(chunk, callback);
    if (callback !== undefined) process.nextTick(callback);
    return true;
  }

  /** False when it had ended before. */
  #finish(args: readonly unknown[]): boolean {
    const { chunk, callback } = writtenOf(args);
    if (this.#end !== undefined) {
      if (callback !== undefined) process.nextTick(callback, new Error('end after end'));
      return false;
    }
    const { statusCode } = this.#response;
    if (!(statusCode >= 200 && statusCode <= 999)) {
      throw new RangeError(`the status of a response must be 200 to 999, is ${statusCode}`);
    }
    if (chunk.length > 0 || !this.flows) this.#write([chunk]);
    if (!this.flows) this.#writeHeadOnce();
    this.#endCallback = callback;
    this.#end = headOf(this.#response);
    return true;
  }

  #answer(): HttpAnswer {
    const { status, headers } = this.#end ?? this.#before;
    const changed = Object.entries(headers).filter(
      ([name, value]) => String(value) !== String(this.#before.headers[name]),
    );
    return {
      status,
      headers: changed.flatMap(([name, value]) => valuesOf(value).map((each) => [name, each] as const)),
      body: this.flows ? undefined : Buffer.concat(this.#chunks),
    };
  }

  #writeHead([status, ...rest]: readonly unknown[]): ServerResponse {
    const response = this.#response;
    this.#headWritten = true;
    response.statusCode = Number(status);
    if (typeof rest[0] === 'string') response.statusMessage = rest[0];
    const given = typeof rest[0] === 'object' && rest[0] !== null ? rest[0] : rest[1];
    if (Array.isArray(given)) appendHeaders(response, given);
    else {
      for (const [name, value] of Object.entries((given ?? {}) as OutgoingHttpHeaders)) {
        if (value !== undefined) response.setHeader(name, value);
      }
    }
    return response;
  }

  #emit(event: string, args: readonly unknown[]): boolean {
    if (event !== 'close') return this.#real.emit(event, ...args);
    this.#keepLeft();
    return this.flows && this.#real.emit('drain');
  }
}

/** Puts an answer on a response and ends it, unless somebody else answered before. */
export function sendAnswer(response: ServerResponse, { status, headers, body }: HttpAnswer): void {
  if (response.headersSent) return;
  response.statusCode = status;
  const seen = new Set<string>();
  for (const [name, value] of headers) {
    if (seen.has(name)) response.appendHeader(name, value);
    else response.setHeader(name, value);
    seen.add(name);
  }
  response.end(body);
}

/** The forms of write and end. A chunk is copied: its owner may use it again. */
function writtenOf(args: readonly unknown[]): {
  readonly chunk: Buffer;
  readonly callback: Callback | undefined;
} {
  const [chunk, encoding] = args;
  const callback = args.find((each): each is Callback => typeof each === 'function');
  if (chunk === undefined || chunk === null || chunk === callback)
    return { chunk: Buffer.alloc(0), callback };
  if (chunk instanceof Uint8Array) return { chunk: Buffer.from(chunk), callback };
  if (typeof chunk !== 'string') throw new TypeError('the chunk must be a string, a Buffer or a Uint8Array');
  const known = typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8';
  return { chunk: Buffer.from(chunk, known), callback };
}
