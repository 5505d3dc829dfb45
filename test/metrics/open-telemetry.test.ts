/** The instruments, collected by OpenTelemetry's own SDK. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MeterProvider, MetricReader, type MetricData } from '@opentelemetry/sdk-metrics';

import { dial, serve } from '../../src/index.js';
import { observeServer } from '../../src/metrics/index.js';
import { awaitCondition } from '../support/await-condition.js';

/** Collects when it is asked to. */
class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async data(): Promise<Map<string, MetricData>> {
    const { resourceMetrics, errors } = await this.collect();
    assert.deepEqual(errors, []);
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return new Map(all.map((data) => [data.descriptor.name, data]));
  }
}

it('a reader collects what the counters say, with the reactor as an attribute', async (t) => {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: {} });
  t.after(() => server.close({ deadlineMs: 0 }));
  const reader = new Reader();
  const provider = new MeterProvider({ readers: [reader] });
  t.after(() => provider.shutdown());
  const stop = observeServer(server, provider.getMeter('millrace'), {
    attributes: { service: 'test' },
  });
  const connection = await dial(server.addresses[0]!);
  connection.write('five!');
  await awaitCondition(() => server.stats.totals.bytesReceived === 5, 'the bytes');
  const data = await reader.data();
  const value = (name: string) => data.get(name)!.dataPoints[0]!.value;
  assert.equal(value('millrace.connections'), 1);
  assert.equal(value('millrace.received.bytes'), 5);
  assert.equal(value('millrace.turn.seconds.count'), server.stats.totals.turnMicroseconds.count);
  const buckets = data.get('millrace.turn.seconds.bucket')!.dataPoints;
  const counts = buckets.map(({ attributes, value }) => [attributes.le, value] as const);
  const turns = Number(value('millrace.turn.seconds.count'));
  assert.deepEqual(counts.at(-1), ['+Inf', turns]);
  assert.ok(counts.every(([, n], i) => i === 0 || Number(n) >= Number(counts[i - 1]![1])));
  assert.ok(turns > 0 && counts.some(([le, n]) => le !== '+Inf' && n === turns));
  assert.deepEqual(data.get('millrace.connections')!.dataPoints[0]!.attributes, {
    service: 'test',
    reactor: '0',
  });
  assert.equal(data.get('millrace.received.bytes')!.descriptor.unit, 'By');
  assert.deepEqual(
    data.get('millrace.timeouts')!.dataPoints.map(({ attributes }) => attributes.deadline),
    ['connect', 'read', 'write', 'idle', 'linger'],
  );
  connection.abort();
  await awaitCondition(() => server.stats.totals.connections === 0, 'the close');
  const later = await reader.data();
  assert.equal(later.get('millrace.connections')!.dataPoints[0]!.value, 0);
  stop();
  // The SDK goes on with what it heard last.
  const another = await dial(server.addresses[0]!);
  await awaitCondition(() => server.stats.totals.connections === 1, 'another connection');
  assert.equal((await reader.data()).get('millrace.connections')!.dataPoints[0]!.value, 0);
  another.abort();
});

it('what is no meter is refused', async (t) => {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: {} });
  t.after(() => server.close());
  assert.throws(() => observeServer(server, {} as never), TypeError);
});
