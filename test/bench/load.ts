import type { LoadOrder } from './contestant.js';

export type Mix = NonNullable<LoadOrder['mix']>;

/** One column of the tables. */
export interface Load {
  readonly mix: Mix;
  readonly inFlight: number;
}

export const mixNames: Readonly<Record<Mix, string>> = {
  unique: 'unique keys',
  half: 'half duplicates',
  replays: 'replays',
};

export function loadName({ mix, inFlight }: Load): string {
  return `${mixNames[mix]}, ${inFlight} in flight`;
}
