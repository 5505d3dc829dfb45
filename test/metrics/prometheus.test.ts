/** The text: that a strict reader understands it, and that it says what the counters say. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Counter, ReactorStats, serverStats } from '../../src/connection/stats.js';
import { metricsText } from '../../src/metrics/index.js';
import { parseExposition } from './exposition.js';

/** Two reactors, each counter of which has a value of its own. */
function filled() {
  const reactors = [ReactorStats.create(), ReactorStats.create()];
  for (const [i, stats] of reactors.entries()) {
    for (const place of Object.values(Counter)) {
      stats.set(place, 1_000 * (i + 1) + place);
    }
    for (const value of [0, 1, 15, 16, 17, 1_000, 2 ** 24 - 1, 2 ** 24, 2 ** 31]) {
      stats.turnMicroseconds.record(value);
      stats.batchSize.record(value);
    }
  }
  return serverStats(reactors);
}

describe('metricsText', () => {
  for (const format of ['prometheus', 'openmetrics'] as const) {
    it(`${format}: every counter is there once for each reactor`, () => {
      const families = parseExposition(metricsText(filled(), { format }), format === 'openmetrics');
      const values = [...families.values()]
        .filter(({ type }) => type !== 'histogram')
        .flatMap(({ samples }) => samples.map(({ labels, value }) => `${labels.reactor} ${value}`));
      const expected = ['0', '1'].flatMap((reactor) =>
        Object.values(Counter).map(
          (place) => `${reactor} ${1_000 * (Number(reactor) + 1) + place}`,
        ),
      );
      assert.deepEqual(values.sort(), expected.sort());
    });
  }

  it('names follow the conventions', () => {
    const families = parseExposition(metricsText(filled()));
    for (const [name, { type, help }] of families) {
      assert.match(name, /^millrace_[a-z][a-z_]*[a-z]$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.match(help, /^[A-Z].*\.$/);
    }
    assert.equal(families.get('millrace_connections')!.type, 'gauge');
    const refused = families.get('millrace_refused_total')!.samples;
    assert.deepEqual(refused[0]!.labels, { reactor: '0', reason: 'descriptor_limit' });
  });

  it('histograms count exactly what was recorded', () => {
    const { samples } = parseExposition(metricsText(filled())).get('millrace_turn_seconds')!;
    const at = (le: string) =>
      samples.find(({ labels }) => labels.reactor === '1' && labels.le === le)?.value;
    assert.equal(at('0.000016'), 3);
    assert.equal(at('0.000032'), 5);
    assert.equal(at('0.001024'), 6);
    assert.equal(at('16.777216'), 7);
    assert.equal(at('+Inf'), 9);
    const sum = samples.find(({ name, labels }) => name.endsWith('_sum') && labels.reactor === '1');
    const recorded = 0 + 1 + 15 + 16 + 17 + 1_000 + 2 ** 24 - 1 + 2 ** 24 + 2 ** 31;
    assert.ok(Math.abs(sum!.value - recorded / 1e6) < 1e-6);
    const batch = parseExposition(metricsText(filled(), { format: 'openmetrics' }), true).get(
      'millrace_batch_events',
    )!;
    assert.equal(batch.samples.find(({ labels }) => labels.le === '15.0')!.value, 3);
  });

  it('what only the main reactor counted is its own', () => {
    const stats = serverStats([ReactorStats.create(), ReactorStats.create()]);
    const totals = { ...stats.totals, accepted: 7 };
    const families = parseExposition(metricsText({ ...stats, totals }));
    assert.deepEqual(
      families
        .get('millrace_connections_accepted_total')!
        .samples.map(({ labels, value }) => [labels.reactor, value]),
      [
        ['0', 0],
        ['1', 0],
        ['main', 7],
      ],
    );
    assert.equal(families.get('millrace_turns_total')!.samples.length, 2);
  });

  it('labels are escaped, and more metrics go under the same prefix', () => {
    const text = metricsText(filled(), {
      prefix: 'chat',
      labels: { service: 'a "b"\\\n' },
      more: [
        {
          name: 'rooms',
          kind: 'gauge',
          help: 'Rooms: "open"\n\\ all.',
          samples: [
            { labels: {}, value: Number.NaN },
            { labels: { kind: 'x' }, value: Number.POSITIVE_INFINITY },
          ],
        },
      ],
    });
    const { help, samples } = parseExposition(text).get('chat_rooms')!;
    assert.equal(help, 'Rooms: "open"\\n\\\\ all.');
    assert.deepEqual(samples[1], {
      name: 'chat_rooms',
      labels: { service: 'a "b"\\\n', kind: 'x' },
      value: Number.POSITIVE_INFINITY,
    });
  });

  it('names that no scraper would take are refused', () => {
    const stats = filled();
    assert.throws(() => metricsText(stats, { prefix: 'a-b' }), TypeError);
    assert.throws(() => metricsText(stats, { labels: { 'a b': 'x' } }), TypeError);
    assert.throws(() => metricsText(stats, { labels: { reactor: 'x' } }), TypeError);
    const bad = { name: 'ä', kind: 'gauge', help: '', samples: [] } as const;
    assert.throws(() => metricsText(stats, { more: [bad] }), TypeError);
  });
});
