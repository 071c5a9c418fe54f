/** How a value is stored. */
export interface Codec<T> {
  /** Stored with the result without its parameters, e.g. `application/json`. */
  readonly contentType: string;
  /** Undefined is stored as no payload. */
  encode(value: T): Uint8Array | undefined;
  decode(payload: Uint8Array | undefined): T;
}

/** JSON; undefined is no payload. */
export function jsonCodec<T>(): Codec<T> {
  return {
    contentType: 'application/json',
    encode: (value) => (value === undefined ? undefined : Buffer.from(JSON.stringify(value))),
    decode: (payload) =>
      (payload === undefined ? undefined : JSON.parse(Buffer.from(payload).toString())) as T,
  };
}
