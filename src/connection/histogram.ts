/**
 * Log-linear histograms in shared memory, written by one thread and read by any: counts of values from 0 to 2^32 - 1,
 * in buckets that are exact below 32 and at most 1/16 wide above, so that a reported value is within about 3 % of the
 * true one (the idea of Gil Tene's HdrHistogram). Used by stats.ts for what a reactor measures in each turn.
 *
 * A count is a double: a 32-bit one would be full after half a day at 100,000 turns a second. A snapshot that is taken
 * while the owner records may lack the latest values, and its mean may be off by them.
 */

const SUB_BITS = 4;
/** Buckets for each power of two. */
const SUBS = 1 << SUB_BITS;
const BUCKETS = (32 - SUB_BITS) * SUBS + SUBS;
const VALUE_MAX = 0xffff_ffff;

// Doubles before the buckets.
const SUM = 0;
const MINIMUM = 1;
const MAXIMUM = 2;
const FIRST_BUCKET = 3;

/** Doubles that one histogram takes. */
export const HISTOGRAM_LENGTH = FIRST_BUCKET + BUCKETS;

/** The values of a histogram at one time; all are 0 while it is empty. */
export interface HistogramSnapshot {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  /** The buckets that are not empty, ascending: the highest value that falls into it, and how many did. */
  readonly buckets: readonly (readonly [upTo: number, count: number])[];
}

export class Histogram {
  readonly #cells: Float64Array;

  /** A view of zeroed or recorded memory: `HISTOGRAM_LENGTH` doubles. */
  constructor(cells: Float64Array) {
    if (cells.length !== HISTOGRAM_LENGTH) {
      throw new RangeError(`A histogram takes ${HISTOGRAM_LENGTH} doubles, not ${cells.length}`);
    }
    this.#cells = cells;
  }

  /** Counts a value, rounded down; what is out of range, or not a number, counts as the nearest that is in it, or 0. */
  record(value: number): void {
    const cells = this.#cells;
    const clamped = value > 0 ? Math.min(value, VALUE_MAX) >>> 0 : 0;
    const bucket = FIRST_BUCKET + bucketOf(clamped);
    cells[bucket] += 1;
    cells[SUM] += clamped;
    if (clamped > cells[MAXIMUM]) {
      cells[MAXIMUM] = clamped;
    }
    // The least value is kept as its distance from above, so that zeroed memory means "none".
    if (VALUE_MAX - clamped + 1 > cells[MINIMUM]) {
      cells[MINIMUM] = VALUE_MAX - clamped + 1;
    }
  }

  snapshot(): HistogramSnapshot {
    const cells = this.#cells;
    const buckets: [number, number][] = [];
    for (let i = 0; i < BUCKETS; i++) {
      if (cells[FIRST_BUCKET + i] > 0) {
        buckets.push([highestOf(i), cells[FIRST_BUCKET + i]]);
      }
    }
    return summarize(buckets, cells[SUM], VALUE_MAX + 1 - cells[MINIMUM], cells[MAXIMUM]);
  }
}

/** The histogram of all values of several. */
export function combineHistograms(parts: readonly HistogramSnapshot[]): HistogramSnapshot {
  const counts = new Map<number, number>();
  let sum = 0;
  let min = VALUE_MAX;
  let max = 0;
  for (const part of parts) {
    if (part.count === 0) {
      continue;
    }
    for (const [upTo, count] of part.buckets) {
      counts.set(upTo, (counts.get(upTo) ?? 0) + count);
    }
    sum += part.mean * part.count;
    min = Math.min(min, part.min);
    max = Math.max(max, part.max);
  }
  const buckets = [...counts].sort((a, b) => a[0] - b[0]);
  return summarize(buckets, sum, min, max);
}

function summarize(
  buckets: readonly (readonly [number, number])[],
  sum: number,
  min: number,
  max: number,
): HistogramSnapshot {
  let count = 0;
  for (const bucket of buckets) {
    count += bucket[1];
  }
  if (count === 0) {
    return { count, min: 0, max: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, buckets };
  }
  const percentile = (share: number): number => {
    const rank = Math.ceil(share * count);
    let seen = 0;
    for (const [upTo, inBucket] of buckets) {
      seen += inBucket;
      if (seen >= rank) {
        // The middle of the bucket, but never beyond what was seen.
        const lowest = lowestOf(bucketOf(upTo));
        return Math.min(Math.max(Math.floor((lowest + upTo) / 2), min), max);
      }
    }
    return max;
  };
  return {
    count,
    min,
    max,
    mean: sum / count,
    p50: percentile(0.5),
    p90: percentile(0.9),
    p99: percentile(0.99),
    p999: percentile(0.999),
    buckets,
  };
}

/** The bucket of an integer from 0 to 2^32 - 1. */
function bucketOf(value: number): number {
  const shift = 31 - SUB_BITS - Math.clz32(value);
  // The highest bit selects the group of buckets, the four bits below it the bucket.
  return shift <= 0 ? value : shift * SUBS + (value >>> shift);
}

function lowestOf(bucket: number): number {
  const shift = (bucket >> SUB_BITS) - 1;
  return shift <= 0 ? bucket : ((bucket & (SUBS - 1)) + SUBS) * 2 ** shift;
}

function highestOf(bucket: number): number {
  return bucket + 1 >= BUCKETS ? VALUE_MAX : lowestOf(bucket + 1) - 1;
}
