import type { GuardOptions } from './operation-spec.js';

/** How HTTP requests are made idempotent. Durations are ms. */
export interface HttpOptions<Request> extends GuardOptions {
  /** Methods that are guarded; requests of any other pass. Default: POST and PATCH. */
  readonly methods?: readonly string[];
  /**
   * What a request without the header `Idempotency-Key` gets: `required`, 400; `optional`, it runs unguarded; `minted`, a fresh key, told
   * in the response's `Idempotency-Key`. Default: `optional`.
   */
  readonly key?: 'required' | 'optional' | 'minted';
  /**
   * The customer or tenant a request belongs to, from its authenticated principal; 0 to 255 visible ASCII characters. Default: empty. Then
   * all callers share their keys, and one who sends another's key and request gets that one's response.
   */
  readonly scopeOf?: (request: Request) => string | Promise<string>;
  /** What is done, 1 to 255 visible ASCII characters. Default: method and path, `POST:/orders`. */
  readonly operation?: (request: Request) => string;
  /** How long a request waits while another execution is at it. Default 0: 409 at once. At most 5 min. */
  readonly waitMs?: number;
  /**
   * Whether a response with this status is stored and replayed; any other frees the key. Default: 2xx and 3xx, and 4xx but for 401, 403, 408,
   * 409, 425 and 429.
   */
  readonly isFinal?: (status: number) => boolean;
  /**
   * Names of the handler's response headers that are stored and replayed. Default: all but those that carry credentials, belong to one
   * response only, or to its connection.
   */
  readonly replayHeaders?: readonly string[];
  /** Bytes of a request's body, which is held for its fingerprint; a larger one gets 413. Default 10 MiB. */
  readonly maxRequestBytes?: number;
  /**
   * Bytes of a response's body that are held back, stored and replayed; a larger one flows, and counts as done without a result to
   * replay. Default 1 MiB, at most 3 MiB, and what the namespace allows.
   */
  readonly maxResponseBytes?: number;
}

export const httpDefaults = {
  methods: ['POST', 'PATCH'],
  key: 'optional',
  maxRequestBytes: 10 * 1024 * 1024,
  maxResponseBytes: 1024 * 1024,
} as const;
