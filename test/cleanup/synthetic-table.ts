import type { PageCount } from '../../src/core/sample.js';
import type { Random } from '../../src/cleanup/pages.js';

/**
 * Where a new row goes. `scattered`: to any page, so that pages are alike and a row's page says nothing of its age, as
 * the derivation has it. `filling`: one page is filled, then another one that has room, as Postgres does it, so that the rows
 * of a page come and expire together.
 */
export type Placement = 'scattered' | 'filling';

export interface Counts {
  live: number;
  expired: number;
}

type Looked = { -readonly [Field in keyof PageCount]: PageCount[Field] };

const rowBytes = 200;
const free = NaN;
/** Of a row that was removed; its place is not to be had before the next vacuum. */
export const gap = -1;

/** Pages of rows that expire, in memory. Namespaces are numbers. */
export class SyntheticTable {
  readonly #slots: number;
  readonly #placement: Placement;
  readonly #random: Random;
  readonly #expireTimes: number[] = [];
  readonly #namespaces: number[] = [];
  readonly #freeSlots: number[] = [];
  /** Pages that have room, in no order, and where in it each stands. */
  readonly #roomy: number[] = [];
  readonly #placeOf: (number | undefined)[] = [];
  #filling: number | undefined;
  readonly #deadPages = new Set<number>();
  #rows = 0;
  /** When rows expire, in the order they came; those from `#expired` on are live. */
  readonly #coming: number[] = [];
  #expired = 0;

  constructor(slots: number, placement: Placement, random: Random, pageCount = 0) {
    this.#slots = slots;
    this.#placement = placement;
    this.#random = random;
    for (let page = 0; page < pageCount; page += 1) this.#append();
  }

  get pageCount(): number {
    return this.#freeSlots.length;
  }

  insert(expireTime: number, namespace: number): void {
    const page = this.#pageWithRoom();
    let slot = page * this.#slots;
    while (!Number.isNaN(this.#expireTimes[slot])) slot += 1;
    this.#expireTimes[slot] = expireTime;
    this.#namespaces[slot] = namespace;
    this.#rows += 1;
    this.#coming.push(expireTime);
    this.#freeSlots[page]! -= 1;
    if (this.#freeSlots[page] === 0) this.#leaveRoomy(page);
  }

  /** What is on the page, by namespace. */
  look(page: number, nowTime: number): readonly PageCount[] {
    const counts: Looked[] = [];
    for (let slot = page * this.#slots; slot < (page + 1) * this.#slots; slot += 1) {
      const expireTime = this.#expireTimes[slot]!;
      if (!(expireTime >= 0)) continue;
      const namespace = nameOf(this.#namespaces[slot]!);
      let count = counts.find((each) => each.namespace === namespace);
      if (count === undefined) {
        count = {
          page,
          namespace,
          live: 0,
          expired: 0,
          strippable: 0,
          liveBytes: 0,
          expiredBytes: 0,
          oldestExpiredMs: 0,
        };
        counts.push(count);
      }
      if (expireTime <= nowTime) {
        count.expired += 1;
        count.expiredBytes += rowBytes;
        count.oldestExpiredMs = Math.max(count.oldestExpiredMs, nowTime - expireTime);
      } else {
        count.live += 1;
        count.liveBytes += rowBytes;
      }
    }
    return counts;
  }

  /** Removes what is expired on the page; tells of each row when it expired and whose it was. */
  remove(page: number, nowTime: number, onRemoved: (expireTime: number, namespace: string) => void): void {
    for (let slot = page * this.#slots; slot < (page + 1) * this.#slots; slot += 1) {
      const expireTime = this.#expireTimes[slot]!;
      if (!(expireTime >= 0 && expireTime <= nowTime)) continue;
      onRemoved(expireTime, nameOf(this.#namespaces[slot]!));
      this.#expireTimes[slot] = gap;
      this.#rows -= 1;
      this.#deadPages.add(page);
    }
  }

  /** Lets the places of removed rows be taken again. */
  vacuum(): void {
    for (const page of this.#deadPages) {
      for (let slot = page * this.#slots; slot < (page + 1) * this.#slots; slot += 1) {
        if (this.#expireTimes[slot] !== gap) continue;
        this.#expireTimes[slot] = free;
        this.#freeSlots[page]! += 1;
      }
      this.#enterRoomy(page);
    }
    this.#deadPages.clear();
  }

  /** What is really there, at once: only where rows expire in the order they came, and time goes forward. */
  total(nowTime: number): Counts {
    while (this.#coming[this.#expired]! <= nowTime) this.#expired += 1;
    if (this.#expired > 100_000) {
      this.#coming.splice(0, this.#expired);
      this.#expired = 0;
    }
    const live = this.#coming.length - this.#expired;
    return { live, expired: this.#rows - live };
  }

  /** What is really there, by looking at every row. */
  count(nowTime: number): { readonly all: Counts; readonly byNamespace: ReadonlyMap<string, Counts> } {
    const all: Counts = { live: 0, expired: 0 };
    const byNumber: (Counts | undefined)[] = [];
    for (let slot = 0; slot < this.#expireTimes.length; slot += 1) {
      const expireTime = this.#expireTimes[slot]!;
      if (!(expireTime >= 0)) continue;
      const kind = expireTime <= nowTime ? 'expired' : 'live';
      all[kind] += 1;
      (byNumber[this.#namespaces[slot]!] ??= { live: 0, expired: 0 })[kind] += 1;
    }
    const byNamespace = new Map<string, Counts>();
    byNumber.forEach((counts, namespace) => {
      if (counts !== undefined) byNamespace.set(nameOf(namespace), counts);
    });
    return { all, byNamespace };
  }

  #pageWithRoom(): number {
    if (this.#placement === 'filling' && this.#filling !== undefined) {
      if (this.#freeSlots[this.#filling]! > 0) return this.#filling;
      this.#filling = undefined;
    }
    if (this.#roomy.length === 0) this.#append();
    const page = this.#roomy[Math.floor(this.#random() * this.#roomy.length)]!;
    this.#filling = page;
    return page;
  }

  #append(): void {
    const page = this.pageCount;
    this.#freeSlots.push(this.#slots);
    for (let i = 0; i < this.#slots; i += 1) {
      this.#expireTimes.push(free);
      this.#namespaces.push(0);
    }
    this.#enterRoomy(page);
  }

  #enterRoomy(page: number): void {
    if (this.#placeOf[page] !== undefined || this.#freeSlots[page] === 0) return;
    this.#placeOf[page] = this.#roomy.length;
    this.#roomy.push(page);
  }

  #leaveRoomy(page: number): void {
    const place = this.#placeOf[page]!;
    const last = this.#roomy.pop()!;
    if (last !== page) {
      this.#roomy[place] = last;
      this.#placeOf[last] = place;
    }
    this.#placeOf[page] = undefined;
  }
}

const names: string[] = [];

function nameOf(namespace: number): string {
  return (names[namespace] ??= `n${namespace}`);
}
