import { CallError, codeName } from '../client/call-error.js';
import type { CoordinatorConnection } from '../client/coordinator-client.js';
import type { KeyRef, Record } from '../gen/onceward/v1/record.js';

/** The tree that a record belongs to. */
export interface Lineage {
  readonly root: LineageNode;
  readonly asked: LineageNode;
  /** What the root was called from: nothing, a record that a bound left out, or one that stands below it. */
  readonly above: 'nothing' | 'omitted' | 'loop';
  /** Why the tree is not whole; empty when it is. */
  readonly cuts: ReadonlySet<Cut>;
}

export interface LineageNode {
  readonly ref: KeyRef;
  /** Without children; undefined for a parent that nothing is known of. */
  readonly record: Record | undefined;
  /** Why the record, or what was called from it, could not be read, e.g. RECORD_NOT_FOUND. */
  readonly unread: string | undefined;
  /** Oldest first. */
  readonly children: readonly LineageNode[];
  /** More was called from it than `children` holds. */
  readonly childrenOmitted: boolean;
}

/** The bound that was met: of the walk, or of what one answer holds. */
export type Cut = keyof LineageBounds | 'answer';

interface LineageBounds {
  /** Of the tree; the root's is one of them. */
  readonly levels: number;
  readonly records: number;
}

/** A chain has at most 32 hops unless someone raised that; a thousand is what people still look through. */
export const lineageBounds: LineageBounds = { levels: 64, records: 1000 };

/** Under way at once. Not one Batch: a single answer may already fill a message. */
const lookupsAtOnce = 16;

/**
 * Climbs to the root, then reads level by level. Each record is read once, and the way from the root to the one asked for
 * is never cut. Rejects when the record asked for can't be read.
 */
export async function walkLineage(
  coordinator: Coordinator,
  ref: KeyRef,
  bounds: LineageBounds,
): Promise<Lineage> {
  const walk: Walk = { coordinator, bounds, nodes: new Map(), cuts: new Set() };
  const asked = add(walk, ref, await coordinator.lookup({ ref, withLineage: true }));
  const { root, above } = await climb(walk, asked);
  const onTheWay = new Set(walk.nodes.values());
  let level = [root];
  for (let depth = 1; level.length > 0; depth += 1) {
    for (let i = 0; i < level.length; i += lookupsAtOnce) {
      const together = level.slice(i, i + lookupsAtOnce);
      await Promise.all(together.filter((node) => !onTheWay.has(node)).map((node) => read(walk, node)));
      for (const node of together) adopt(walk, node, depth);
    }
    level = level.flatMap((node) => node.children);
  }
  return { root, asked, above, cuts: walk.cuts };
}

type Coordinator = Pick<CoordinatorConnection['coordinator'], 'lookup'>;

interface Walk {
  readonly coordinator: Coordinator;
  readonly bounds: LineageBounds;
  /** By identity: what is here is never visited again, so a loop ends. */
  readonly nodes: Map<string, Growing>;
  readonly cuts: Set<Cut>;
}

interface Growing extends LineageNode {
  record: Record | undefined;
  unread: string | undefined;
  children: Growing[];
  childrenOmitted: boolean;
}

async function climb(
  walk: Walk,
  asked: Growing,
): Promise<{ readonly root: Growing; readonly above: Lineage['above'] }> {
  let root = asked;
  for (let parent = root.record?.parent; parent !== undefined; parent = root.record?.parent) {
    if (walk.nodes.has(idOf(parent))) return { root, above: 'loop' };
    if (cutAt(walk, walk.nodes.size)) return { root, above: 'omitted' };
    const node = add(walk, parent, undefined);
    await read(walk, node);
    node.children = [root];
    root = node;
  }
  return { root, above: 'nothing' };
}

/** A record that is gone, or that we may not see, ends the walk there and nowhere else. */
async function read({ coordinator }: Walk, node: Growing): Promise<void> {
  try {
    node.record = await coordinator.lookup({ ref: node.ref, withLineage: true });
  } catch (error) {
    if (!(error instanceof CallError) || !/^(NOT_FOUND|PERMISSION_DENIED)$/.test(codeName(error.code))) {
      throw error;
    }
    node.unread = error.reason;
  }
}

/** Makes nodes of the children its record tells; at most one is there before: the way to the record asked for. */
function adopt(walk: Walk, node: Growing, depth: number): void {
  const { record, children: way } = node;
  if (record === undefined) return;
  const children: Growing[] = [];
  for (const child of record.children) {
    if (child.ref === undefined) continue;
    const known = walk.nodes.get(idOf(child.ref));
    if (known !== undefined) {
      if (way.includes(known)) children.push(known);
    } else if (cutAt(walk, depth)) node.childrenOmitted = true;
    else children.push(add(walk, child.ref, child));
  }
  // Two answers may disagree, and the younger children may not have fitted.
  children.push(...way.filter((child) => !children.includes(child)));
  if (record.childrenOmitted) {
    walk.cuts.add('answer');
    node.childrenOmitted = true;
  }
  node.children = children;
  node.record = { ...record, children: [] };
}

/** Whether there is room for no further record, or for none below this depth. */
function cutAt({ bounds, nodes, cuts }: Walk, depth: number): boolean {
  if (depth >= bounds.levels) cuts.add('levels');
  else if (nodes.size >= bounds.records) cuts.add('records');
  else return false;
  return true;
}

function add({ nodes }: Walk, ref: KeyRef, record: Record | undefined): Growing {
  const node: Growing = { ref, record, unread: undefined, children: [], childrenOmitted: false };
  nodes.set(idOf(ref), node);
  return node;
}

function idOf({ namespace, scope, key }: KeyRef): string {
  return JSON.stringify([namespace, scope, key]);
}
