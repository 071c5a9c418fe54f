/** What one caller saw of one key, in the order it saw it. */
export type Event =
  | { readonly kind: 'granted'; readonly key: string; readonly token: bigint; readonly attempt: number }
  | { readonly kind: 'completed'; readonly key: string; readonly token: bigint; readonly payload: string }
  | Replayed;

export interface Replayed {
  readonly kind: 'replayed';
  readonly key: string;
  readonly payload: string;
}

/** What is wrong with a history, one sentence each; empty when every promise was kept. */
export function violationsOf(history: readonly Event[]): readonly string[] {
  const found: string[] = [];
  for (const [key, events] of byKey(history)) {
    const results = new Set(events.flatMap((event) => ('payload' in event ? [event.payload] : [])));
    if (results.size > 1) found.push(`${key}: ${results.size} results were accepted or replayed`);
    const finishers = new Set(events.flatMap((event) => (event.kind === 'completed' ? [event.token] : [])));
    if (finishers.size > 1) found.push(`${key}: ${finishers.size} tokens finished it`);
    const tokens = new Map<number, Set<bigint>>();
    for (const event of events) {
      if (event.kind !== 'granted') continue;
      tokens.set(event.attempt, (tokens.get(event.attempt) ?? new Set()).add(event.token));
    }
    const grants = [...tokens].sort(([a], [b]) => a - b);
    for (const [attempt, granted] of grants) {
      if (granted.size > 1) found.push(`${key}: attempt ${attempt} was granted under ${granted.size} tokens`);
    }
    const rising = grants.map(([, granted]) => [...granted][0] ?? 0n);
    if (rising.some((token, i) => i > 0 && token <= (rising[i - 1] ?? 0n))) {
      found.push(`${key}: a later attempt has a token that isn't larger`);
    }
    const finished = events.findIndex((event) => event.kind !== 'granted');
    if (finished >= 0 && events.slice(finished).some((event) => event.kind === 'granted')) {
      found.push(`${key}: granted again after it was finished`);
    }
  }
  return found;
}

function byKey(history: readonly Event[]): ReadonlyMap<string, readonly Event[]> {
  const groups = new Map<string, Event[]>();
  for (const event of history) {
    const group = groups.get(event.key);
    if (group === undefined) groups.set(event.key, [event]);
    else group.push(event);
  }
  return groups;
}
