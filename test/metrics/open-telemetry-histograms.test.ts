/** The histograms, collected by OpenTelemetry's own SDK, and written by an exporter of its. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { ValueType } from '@opentelemetry/api';

import { dial, serve } from '../../src/index.js';
import { histogramProducer, observeServer } from '../../src/metrics/index.js';
import { awaitCondition } from '../support/await-condition.js';

const HOUR = 3_600_000;

it('a reader exports them whole, beside what is observed', async (t) => {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: {} });
  t.after(() => server.close({ deadlineMs: 0 }));
  let now = 1_700_000_000_250;
  const producer: MetricProducer = histogramProducer(
    server,
    { prefix: 'net', attributes: { service: 'test' } },
    () => now,
  );
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: HOUR,
    metricProducers: [producer],
  });
  const provider = new MeterProvider({ readers: [reader] });
  t.after(() => provider.shutdown());
  observeServer(server, provider.getMeter('millrace'), { prefix: 'net', histograms: false });

  const connection = await dial(server.addresses[0]!);
  connection.write('five!');
  await awaitCondition(() => server.stats.totals.bytesReceived === 5, 'the bytes');
  connection.abort();
  await awaitCondition(() => server.stats.totals.connections === 0, 'the close');
  now += 1_500;
  await reader.forceFlush();

  const scopes = exporter.getMetrics()[0]!.scopeMetrics;
  const metrics = scopes.flatMap((scope) => scope.metrics);
  const names = metrics.map(({ descriptor }) => descriptor.name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.includes('net.received.bytes') && !names.includes('net.turn.seconds.sum'));

  const find = (name: string) => metrics.find(({ descriptor }) => descriptor.name === name)!;
  const { turnMicroseconds, batchSize } = server.stats.totals;
  for (const [name, unit, valueType, { count, mean, buckets: recorded }, divisor] of [
    ['net.turn.seconds', 's', ValueType.DOUBLE, turnMicroseconds, 1e6],
    ['net.batch.events', '1', ValueType.INT, batchSize, 1],
  ] as const) {
    const data = find(name);
    assert.equal(data.dataPointType, DataPointType.HISTOGRAM);
    assert.equal(data.aggregationTemporality, AggregationTemporality.CUMULATIVE);
    assert.deepEqual([data.descriptor.unit, data.descriptor.valueType], [unit, valueType]);
    const [point, ...others] = data.dataPoints;
    assert.deepEqual(others, []);
    assert.deepEqual(point!.attributes, { service: 'test', reactor: '0' });
    assert.deepEqual(point!.startTime, [1_700_000_000, 250_000_000]);
    assert.deepEqual(point!.endTime, [1_700_000_001, 750_000_000]);
    assert.ok(count > 0);
    assert.equal(point!.value.count, count);
    assert.ok(Math.abs(point!.value.sum! - (mean * count) / divisor) < 1e-9);
    const { boundaries, counts } = point!.value.buckets as {
      boundaries: number[];
      counts: number[];
    };
    assert.equal(counts.length, boundaries.length + 1);
    // Each recorded value is in the first bucket whose boundary it does not exceed.
    const expected = new Array<number>(counts.length).fill(0);
    for (const [upTo, n] of recorded) {
      const at = boundaries.findIndex((boundary) => upTo / divisor <= boundary);
      expected[at < 0 ? boundaries.length : at]! += n;
    }
    assert.deepEqual(counts, expected);
  }
});
