/** A request as either style of server has it. */
export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly header: (name: string) => string | undefined;
  readonly headerNames: () => string[];
  /** The body; the handler must still be able to read it. */
  readonly body: (maxBytes: number) => Promise<HttpBody>;
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal;
}

/** A request's body: its bytes, or what a body parser that was there before made of them. */
export type HttpBody = { readonly bytes: Uint8Array } | { readonly parsed: unknown };

export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Undefined: too large to keep. */
  readonly body: Uint8Array | undefined;
}

/** Statuses whose responses have no body. */
export const bodiless: ReadonlySet<number> = new Set([101, 204, 205, 304]);
