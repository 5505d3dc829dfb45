/** Histograms against sorted arrays: exact counts, and values within the promised resolution. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import {
  combineHistograms,
  HISTOGRAM_LENGTH,
  Histogram,
  type HistogramSnapshot,
} from '../../src/connection/histogram.js';

const VALUE_MAX = 2 ** 32 - 1;

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram(new Float64Array(HISTOGRAM_LENGTH));
  for (const value of values) {
    histogram.record(value);
  }
  return histogram;
}

function percentileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(share * sorted.length) - 1];
}

function assertClose(actual: number, expected: number, what: string): void {
  const off = Math.abs(actual - expected);
  assert.ok(off <= expected / 32 + 0.5, `${what} is ${actual} and should be ${expected}`);
}

const integers = fc.oneof(
  fc.nat(100),
  fc.nat(100_000),
  fc.integer({ min: 0, max: VALUE_MAX }),
  fc.nat(32).map((bits) => Math.min(2 ** bits, VALUE_MAX)),
);

test('an empty histogram is all zeros', () => {
  assert.deepEqual(histogramOf([]).snapshot(), {
    count: 0,
    min: 0,
    max: 0,
    mean: 0,
    p50: 0,
    p90: 0,
    p99: 0,
    p999: 0,
    buckets: [],
  });
});

test('small values are exact', () => {
  const values = Array.from({ length: 32 }, (_, i) => i);
  const { buckets, ...summary } = histogramOf(values).snapshot();
  assert.deepEqual(summary, {
    count: 32,
    min: 0,
    max: 31,
    mean: 15.5,
    p50: 15,
    p90: 28,
    p99: 31,
    p999: 31,
  });
  assert.deepEqual(
    buckets,
    values.map((value) => [value, 1]),
  );
});

test('what is out of range, or no number, counts as the nearest', () => {
  const values = [-5, Number.NaN, 0.9, 1e12, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const { count, min, max, buckets } = histogramOf(values).snapshot();
  assert.deepEqual({ count, min, max }, { count: 6, min: 0, max: VALUE_MAX });
  assert.deepEqual(buckets, [
    [0, 4],
    [VALUE_MAX, 2],
  ]);
});

test('memory of another length is refused', () => {
  assert.throws(() => new Histogram(new Float64Array(HISTOGRAM_LENGTH - 1)), RangeError);
});

test('a bucket holds what is at most its name and more than the name of the one before', () => {
  fc.assert(
    fc.property(integers, (value) => {
      const [[upTo]] = histogramOf([value]).snapshot().buckets;
      assert.ok(value <= upTo && upTo - value <= value / 16);
      if (upTo < VALUE_MAX) {
        const [[next]] = histogramOf([upTo + 1]).snapshot().buckets;
        assert.ok(next > upTo);
      }
    }),
    { numRuns: 1000 },
  );
});

test('count, minimum, maximum and mean are exact, percentiles within 1/32', () => {
  fc.assert(
    fc.property(fc.array(integers, { minLength: 1, maxLength: 300, size: 'max' }), (values) => {
      const snapshot = histogramOf(values).snapshot();
      const sorted = [...values].sort((a, b) => a - b);
      assert.equal(snapshot.count, values.length);
      assert.equal(snapshot.min, sorted[0]);
      assert.equal(snapshot.max, sorted.at(-1));
      assert.equal(snapshot.mean, values.reduce((sum, value) => sum + value, 0) / values.length);
      assertClose(snapshot.p50, percentileOf(sorted, 0.5), 'p50');
      assertClose(snapshot.p90, percentileOf(sorted, 0.9), 'p90');
      assertClose(snapshot.p99, percentileOf(sorted, 0.99), 'p99');
      assertClose(snapshot.p999, percentileOf(sorted, 0.999), 'p999');
    }),
  );
});

test('the combination of several is the histogram of all their values', () => {
  const lists = fc.array(fc.array(integers, { maxLength: 50 }), { maxLength: 5 });
  fc.assert(
    fc.property(lists, (parts) => {
      const combined = combineHistograms(parts.map((values) => histogramOf(values).snapshot()));
      const expected = histogramOf(parts.flat()).snapshot();
      const meanless = (one: HistogramSnapshot): HistogramSnapshot => ({ ...one, mean: 0 });
      assert.deepEqual(meanless(combined), meanless(expected));
      assert.ok(Math.abs(combined.mean - expected.mean) <= expected.mean * 1e-12);
    }),
  );
});
