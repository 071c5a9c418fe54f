import type { BeginResponse } from '../../src/gen/onceward/v1/coordinator.js';

export const beginsAtOnce = 64;

/** What a crowd of Begins on one key was told. */
export interface Crowd {
  readonly grants: number;
  /** Attempts named by those who were told that someone is at it, each once. */
  readonly runningAttempts: readonly number[];
  readonly others: readonly string[];
}

export function crowdOf(responses: readonly BeginResponse[]): Crowd {
  const outcomes = responses.map(({ outcome }) => outcome);
  const running = outcomes.flatMap((outcome) =>
    outcome?.$case === 'inProgress' ? [outcome.value.attempt] : [],
  );
  return {
    grants: outcomes.filter((outcome) => outcome?.$case === 'execute').length,
    runningAttempts: [...new Set(running)],
    others: outcomes.flatMap((outcome) =>
      outcome?.$case === 'execute' || outcome?.$case === 'inProgress' ? [] : [outcome?.$case ?? 'none'],
    ),
  };
}
