/**
 * A log-linear histogram in shared memory: 16 buckets for each power of two, so that a value is off by at most 1/16 of
 * itself; values of 0 to 2^32. One thread records, any thread reads.
 */

const SUB_BITS = 4;
const SUB = 1 << SUB_BITS;
const BUCKETS = SUB * 2 + SUB * (32 - SUB_BITS - 1);
/** Count, sum and maximum as floats, then the buckets. */
const HEADER_BYTES = 24;

export interface HistogramSnapshot {
  readonly count: number;
  readonly mean: number;
  readonly max: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

export class Histogram {
  /** Bytes of shared memory for one. */
  static readonly BYTES: number = Math.ceil((HEADER_BYTES + BUCKETS * 4) / 64) * 64;
  readonly #header: Float64Array;
  readonly #buckets: Uint32Array;

  /** `offset` must be a multiple of 8. */
  constructor(buffer: SharedArrayBuffer, offset: number) {
    this.#header = new Float64Array(buffer, offset, 3);
    this.#buckets = new Uint32Array(buffer, offset + HEADER_BYTES, BUCKETS);
  }

  record(value: number): void {
    const v = value < 0 ? 0 : value > 0xffff_ffff ? 0xffff_ffff : value >>> 0;
    this.#header[0] += 1;
    this.#header[1] += v;
    if (v > this.#header[2]) {
      this.#header[2] = v;
    }
    this.#buckets[bucketOf(v)] += 1;
  }

  snapshot(): HistogramSnapshot {
    const [count, sum, max] = this.#header;
    return {
      count,
      mean: count === 0 ? 0 : sum / count,
      max,
      p50: this.percentile(50),
      p90: this.percentile(90),
      p99: this.percentile(99),
      p999: this.percentile(99.9),
    };
  }

  /** The value that `percent` of all recorded ones do not exceed, to the bucket's upper end. 0 when there are none. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((this.#header[0] * percent) / 100));
    let seen = 0;
    for (let i = 0; i < BUCKETS; i += 1) {
      seen += this.#buckets[i];
      if (seen >= rank) {
        return Math.min(upperEndOf(i), this.#header[2]);
      }
    }
    return 0;
  }
}

function bucketOf(v: number): number {
  if (v < SUB * 2) {
    return v;
  }
  const exponent = 31 - Math.clz32(v);
  const mantissa = (v >>> (exponent - SUB_BITS)) - SUB;
  return SUB * 2 + (exponent - SUB_BITS - 1) * SUB + mantissa;
}

function upperEndOf(bucket: number): number {
  if (bucket < SUB * 2) {
    return bucket;
  }
  const exponent = Math.floor((bucket - SUB * 2) / SUB) + SUB_BITS + 1;
  const mantissa = ((bucket - SUB * 2) % SUB) + SUB;
  return (mantissa + 1) * 2 ** (exponent - SUB_BITS) - 1;
}
