import fc from 'fast-check';

/** One key a namespace; what each is about stands in `policies`. */
export const namespaces = ['rerun', 'park', 'spent', 'tombstone'] as const;
export type NamespaceName = (typeof namespaces)[number];

export type OnLapseChoice = 'policy' | 'RERUN' | 'PARK';
/** Which token a call carries: the last one granted for the key, the one before, or one never granted. */
export type TokenChoice = 'current' | 'previous' | 'future';
export type Decision = 'complete' | 'fail' | 'release';

/** What a call says. Tokens are still a choice here and a number in a `Call`. */
type Content<Token> =
  | {
      readonly verb: 'begin';
      readonly attempt: string;
      readonly operation: string;
      /** `<version>:<digest>`; absent: no fingerprint. */
      readonly print: string | undefined;
      readonly onLapse: OnLapseChoice;
      /** Whether the caller says that its first try was years ago. */
      readonly old: boolean;
    }
  | { readonly verb: 'complete'; readonly token: Token; readonly payload: string }
  | { readonly verb: 'failFinal' | 'failRetryable'; readonly token: Token; readonly message: string }
  | {
      readonly verb: 'heartbeat';
      readonly token: Token;
      readonly checkpoint: string | undefined;
      readonly sequence: number;
    }
  | { readonly verb: 'lookup' }
  | { readonly verb: 'forget'; readonly evenIfLeased: boolean }
  | { readonly verb: 'resolve'; readonly decision: Decision; readonly text: string };

/** A call with everything it carries, so that it can be sent again with the same content. */
export type Call = { readonly namespace: NamespaceName } & Content<bigint>;

/** What time and the broom do to a record, without a clock. */
export type Event = {
  readonly namespace: NamespaceName;
  readonly verb: 'lapse' | 'expireResult' | 'expireRecord' | 'sweep';
};

/** Which of the two keys of a sequence: mostly the first, for long lives. */
export type Slot = 0 | 1;
export type Slots = readonly [NamespaceName, NamespaceName];

/** One step of a sequence. */
export type Action =
  | {
      readonly kind: 'call';
      readonly slot: Slot;
      readonly content: Content<TokenChoice>;
      readonly coordinator: number;
      /** The answer is lost on its way, and the caller sends the call again, to the other coordinator. */
      readonly lost: boolean;
    }
  /** An earlier call of the sequence arrives once more. */
  | { readonly kind: 'again'; readonly back: number; readonly coordinator: number }
  | { readonly kind: 'event'; readonly slot: Slot; readonly verb: Event['verb'] };

export const slotsArbitrary: fc.Arbitrary<Slots> = fc
  .shuffledSubarray([...namespaces], { minLength: 2, maxLength: 2 })
  .map(([first = 'rerun', second = 'park']) => [first, second] as const);

const slot = fc.constantFrom<Slot>(0, 0, 0, 1);
const token = fc.oneof(
  { weight: 8, arbitrary: fc.constant<TokenChoice>('current') },
  { weight: 2, arbitrary: fc.constant<TokenChoice>('previous') },
  { weight: 1, arbitrary: fc.constant<TokenChoice>('future') },
);
const text = fc.constantFrom('x', 'y');
const rarely = fc.oneof(
  { weight: 12, arbitrary: fc.constant(false) },
  { weight: 1, arbitrary: fc.constant(true) },
);

const begin = fc.record({
  verb: fc.constant('begin' as const),
  // So few that resends and late copies come by themselves.
  attempt: fc.constantFrom('a1', 'a2', 'a3'),
  operation: fc.oneof(
    { weight: 12, arbitrary: fc.constant('charge') },
    { weight: 1, arbitrary: fc.constant('refund') },
  ),
  print: fc.oneof(
    { weight: 10, arbitrary: fc.constant('1:aa') },
    { weight: 1, arbitrary: fc.constantFrom('1:bb', '2:bb', undefined) },
  ),
  onLapse: fc.oneof(
    { weight: 8, arbitrary: fc.constant<OnLapseChoice>('policy') },
    { weight: 1, arbitrary: fc.constantFrom<OnLapseChoice>('RERUN', 'PARK') },
  ),
  old: rarely,
});

const content = fc.oneof(
  { weight: 14, arbitrary: begin },
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('complete' as const), token, payload: text }) },
  {
    weight: 4,
    arbitrary: fc.record({
      verb: fc.constantFrom('failFinal' as const, 'failRetryable', 'failRetryable'),
      token,
      message: text,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant('heartbeat' as const),
      token,
      checkpoint: fc.constantFrom('c1', 'c2', undefined),
      sequence: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('lookup' as const) }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('forget' as const), evenIfLeased: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      verb: fc.constant('resolve' as const),
      decision: fc.constantFrom<Decision>('complete', 'fail', 'release'),
      text,
    }),
  },
);

const coordinator = fc.nat(1);

export const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      slot,
      content,
      coordinator,
      lost: fc.oneof(
        { weight: 3, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), back: fc.nat(6), coordinator }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('event' as const),
      slot,
      verb: fc.oneof(
        { weight: 6, arbitrary: fc.constant('lapse' as const) },
        { weight: 2, arbitrary: fc.constantFrom('sweep' as const, 'expireResult') },
        { weight: 1, arbitrary: fc.constant('expireRecord' as const) },
      ),
    }),
  },
);
