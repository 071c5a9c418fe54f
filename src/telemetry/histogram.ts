import type { Attributes } from '@opentelemetry/api';

/** The values of one set of attributes. */
export interface Series {
  readonly attributes: Attributes;
  /** Of its first value, ms since the epoch. */
  readonly startTime: number;
  /** One a bucket, and one for what is above them all. */
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

export interface HistogramOptions {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  /** The upper bounds of its buckets, which are within. */
  readonly boundaries: readonly number[];
}

/**
 * For what is measured several times a call. The SDK's histogram sorts and hashes the attributes of each value, which was a
 * tenth of what the coordinator used; this one finds a series by a string.
 */
export class Histogram {
  readonly options: HistogramOptions;
  readonly #series = new Map<string, Series>();

  constructor(options: HistogramOptions) {
    this.options = options;
  }

  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  /** `key` stands for the attributes, which are asked for once. */
  record(value: number, key: string, attributesOf: () => Attributes): void {
    const series = this.#series.get(key) ?? this.#add(key, attributesOf());
    const { boundaries } = this.options;
    let bucket = 0;
    while (bucket < boundaries.length && value > (boundaries[bucket] as number)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] as number) + 1;
    series.count += 1;
    series.sum += value;
    series.min = Math.min(series.min, value);
    series.max = Math.max(series.max, value);
  }

  #add(key: string, attributes: Attributes): Series {
    const counts = new Array<number>(this.options.boundaries.length + 1).fill(0);
    const startTime = Date.now();
    const added = { attributes, startTime, counts, count: 0, sum: 0, min: Infinity, max: -Infinity };
    this.#series.set(key, added);
    return added;
  }
}
