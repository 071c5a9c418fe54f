import { identityHash, identityOf } from '../../src/core/key.js';
import type { RunResult } from './run.js';
import type { SeenSpan } from './service.js';

export interface Judgement {
  /** Orders whose effects are not exactly those of one execution, by service. */
  readonly wrong: readonly string[];
  /** Orders whose calls to other services had more or other keys than one execution has. */
  readonly unstableKeys: readonly string[];
  /** Orders that are spread over traces, or whose trace lacks a service. */
  readonly brokenTraces: readonly string[];
  readonly replays: number;
  /** Replays that do not say which execution they replay, or say one of another trace. */
  readonly unlinkedReplays: number;
  readonly takeovers: number;
}

const whole = { shop: 1, payment: 1, ledger: 2 } as const;
/** Operations of one order, by namespace. */
const operations: Readonly<Record<string, number>> = { shop: 1, payments: 1, ledger: 2 };

/** Looks at what the databases and the traces say, not at what anybody was told. */
export function judge({ effects, orders, spans }: RunResult): Judgement {
  const wrong: string[] = [];
  for (const [service, done] of effects) {
    const counts = new Map<string, string[]>();
    for (const { order, what } of done) counts.set(order, [...(counts.get(order) ?? []), what]);
    for (const { id } of orders) {
      const found = counts.get(id) ?? [];
      if (found.length !== whole[service] || new Set(found).size !== found.length)
        wrong.push(`${service} ${id}`);
    }
    if (counts.size !== orders.length) wrong.push(`${service} has ${counts.size} orders`);
  }
  const charges = new Map(effects.get('payment')?.map(({ order, what }) => [order, what]));
  for (const { id, answer } of orders) if (answer.charge !== charges.get(id)) wrong.push(`answer of ${id}`);

  const byRoot = groupBy(spans, ({ attributes }) => String(attributes['onceward.root.hash']));
  const unstableKeys: string[] = [];
  const brokenTraces: string[] = [];
  for (const { id, key, traceId } of orders) {
    const root = identityHash(identityOf({ namespace: 'shop', scope: '', key }));
    const own = byRoot.get(root) ?? [];
    if (own.some((span) => span.traceId !== traceId)) brokenTraces.push(id);
    for (const [namespace, count] of Object.entries(operations)) {
      const keys = keysIn(own, namespace);
      if (keys.size < count) brokenTraces.push(`${id} ${namespace}`);
      if (keys.size > count) unstableKeys.push(`${id} ${namespace}`);
    }
  }
  const replays = spans.filter(({ attributes }) => attributes['onceward.outcome'] === 'replay');
  return {
    wrong,
    unstableKeys,
    brokenTraces,
    replays: replays.length,
    unlinkedReplays: replays.filter(({ traceId, links }) => !links.some((link) => link.traceId === traceId))
      .length,
    takeovers: spans.filter(({ attributes }) => attributes['onceward.takeover'] === true).length,
  };
}

function keysIn(spans: readonly SeenSpan[], namespace: string): ReadonlySet<unknown> {
  const own = spans.filter(({ attributes }) => attributes['onceward.namespace'] === namespace);
  return new Set(own.map(({ attributes }) => attributes['onceward.key.hash']));
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
