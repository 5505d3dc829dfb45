/** Percentiles over the histograms of several client processes. The buckets are those of native/histogram.h. */

export interface Latency {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

export type SparseHistogram = readonly (readonly [upToNs: number, count: number])[];

/** A percentile is the upper end of its bucket: rounded up by less than 0.8 %. NaN when there is nothing. */
export function mergeLatency(histograms: readonly SparseHistogram[]): Latency {
  const counts = new Map<number, number>();
  for (const [upToNs, count] of histograms.flat()) {
    counts.set(upToNs, (counts.get(upToNs) ?? 0) + count);
  }
  const buckets = [...counts].sort(([a], [b]) => a - b);
  return {
    p50Us: percentileUs(buckets, 0.5),
    p99Us: percentileUs(buckets, 0.99),
    p999Us: percentileUs(buckets, 0.999),
  };
}

function percentileUs(buckets: SparseHistogram, fraction: number): number {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  const wanted = Math.max(1, Math.round(total * fraction));
  let seen = 0;
  for (const [upToNs, count] of buckets) {
    seen += count;
    if (seen >= wanted) return upToNs / 1e3;
  }
  return Number.NaN;
}
