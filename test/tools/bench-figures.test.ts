/** What the benchmark computes on its own: percentiles over processes, shares of connections, axes and charts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { shareOf } from '../../bench/million/fleet.js';
import { mergeLatency } from '../../bench/million/latency.js';
import { barChart, lineChart } from '../../bench/plot/charts.js';
import { linearTicks, spread } from '../../bench/plot/scale.js';

describe('figures of the benchmark', () => {
  it('percentiles are those of all processes together', () => {
    const slow = [[9_000_000, 1]] as const;
    const fast = [
      [1_000, 60],
      [2_000, 939],
    ] as const;
    const latency = mergeLatency([slow, fast]);
    assert.deepEqual(latency, { p50Us: 2, p99Us: 2, p999Us: 2 });
    assert.equal(mergeLatency([slow]).p50Us, 9_000);
    assert.ok(Number.isNaN(mergeLatency([[]]).p50Us));
  });

  it('shares differ by one at most and add up to the whole', () => {
    for (const [total, parts] of [
      [1_000_000, 53],
      [10, 3],
      [2, 5],
    ] as const) {
      const shares = Array.from({ length: parts }, (_, i) => shareOf(total, parts, i));
      assert.equal(
        shares.reduce((a, b) => a + b),
        total,
      );
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1);
    }
  });

  it('axes begin at 0, end at or above the largest value, and have few round steps', () => {
    for (const max of [1, 7, 99, 12_345, 158_000, 1_000_000]) {
      const ticks = linearTicks(max);
      assert.equal(ticks[0], 0);
      assert.ok((ticks.at(-1) ?? 0) >= max && ticks.length <= 8, `${max}: ${ticks}`);
    }
  });

  it('labels keep their distance and stay above the bottom', () => {
    const places = spread([100, 101, 99], 16, 105);
    const sorted = [...places].sort((a, b) => a - b);
    assert.ok((sorted[2] ?? 0) <= 105);
    assert.ok(sorted.every((place, i) => i === 0 || place - (sorted[i - 1] ?? 0) >= 16));
    assert.ok((places[2] ?? 0) < (places[0] ?? 0) && (places[0] ?? 0) < (places[1] ?? 0));
  });

  it('charts name every server and both axes, and escape what XML would take for its own', () => {
    const texts = { title: 'a < b', subtitles: ['c & d'], xLabel: 'across', yLabel: 'up' };
    const names = ['millrace', 'gnet', 'unknown-1'];
    const points = [
      { x: 100, y: 1 },
      { x: 1_000, y: 2 },
    ];
    const charts = [
      lineChart(
        names.map((name) => ({ name, points })),
        texts,
      ),
      barChart(
        names.map((name, i) => ({ name, value: i * 100 })),
        texts,
      ),
    ];
    for (const svg of charts) {
      for (const text of [...names, 'across', 'up', 'a &lt; b', 'c &amp; d']) {
        assert.ok(svg.includes(`>${text}<`), text);
      }
      assert.ok(svg.includes('prefers-color-scheme: dark') && !svg.includes('NaN'));
    }
  });
});
