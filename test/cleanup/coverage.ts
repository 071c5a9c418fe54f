import { estimateStore, type Estimate, type StoreEstimates } from '../../src/core/estimate.js';
import type { Tally } from '../../src/core/sample.js';
import type { Counts } from './synthetic-table.js';
import type { SyntheticTarget } from './synthetic-target.js';

/** How often estimates were right; of namespaces all together. */
export class Coverage {
  readonly of = {
    live: new Judged(),
    expired: new Judged(),
    'live of a namespace': new Judged(),
    'expired of a namespace': new Judged(),
  };

  /** Compares the samples a tick just took with what is there. `width`: as if intervals were so much of what they are. */
  judge(target: SyntheticTarget, width = 1): void {
    const truth = target.count();
    const namespaces = [...truth.byNamespace.keys()];
    const estimates = estimatesOf(target, namespaces);
    const add = (judged: Judged, { rows, low, high }: Estimate, there: number) => {
      judged.add({ rows, low: rows - width * (rows - low), high: rows + width * (high - rows) }, there);
    };
    add(this.of.live, estimates.live, truth.live);
    add(this.of.expired, estimates.expired, truth.expired);
    for (const name of namespaces) {
      const { live, expired } = estimates.namespaces.get(name)!;
      const counts = truth.byNamespace.get(name) as Counts;
      add(this.of['live of a namespace'], live, counts.live);
      add(this.of['expired of a namespace'], expired, counts.expired);
    }
  }
}

/** One kind of estimate against the truth, many times. */
export class Judged {
  times = 0;
  held = 0;
  /** Sums of what is estimated and of what is true. */
  rows = 0;
  truth = 0;
  /** Of the errors. */
  squares = 0;

  get share(): number {
    return this.held / this.times;
  }

  /** Of the mean estimate, in its standard errors. */
  get bias(): number {
    return (this.rows - this.truth) / Math.sqrt(Math.max(this.squares, 1e-9));
  }

  add({ rows, low, high }: Omit<Estimate, 'bytes'>, truth: number): void {
    // Bounds are sums of products.
    const slack = 1e-6 * (1 + truth);
    this.times += 1;
    if (low - slack <= truth && truth <= high + slack) this.held += 1;
    this.rows += rows;
    this.truth += truth;
    this.squares += (rows - truth) ** 2;
  }
}

const nothing: Tally = { rows: 0, squares: 0, bytes: 0 };

/** With namespaces that no drawn page had: they are told of by the pages that were without them. */
function estimatesOf(target: SyntheticTarget, namespaces: readonly string[]): StoreEstimates {
  const samples = target.partitions.map(({ sample }) => sample).filter((sample) => sample !== undefined);
  return estimateStore(
    samples.map((sample) => {
      const named = new Set(sample.namespaces.map(({ namespace }) => namespace));
      const others = namespaces.filter((name) => !named.has(name));
      const none = others.map((namespace) => ({ namespace, live: nothing, expired: nothing, removed: 0 }));
      return { ...sample, namespaces: [...sample.namespaces, ...none] };
    }),
  );
}
