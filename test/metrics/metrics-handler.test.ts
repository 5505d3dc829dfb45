/** The endpoint, asked by Node's own fetch. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { dial, serve } from '../../src/index.js';
import { metricsHandler } from '../../src/metrics/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { parseExposition } from './exposition.js';

for (const reactors of [1, 2]) {
  it(`tells of a server with ${reactors} reactor(s) as it is`, async (t) => {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL('../engine/silent-handler.js', import.meta.url),
      reactors,
    });
    t.after(() => server.close({ deadlineMs: 0 }));
    const metrics = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: metricsHandler(server, { labels: { service: 'test' } }),
      allowHalfOpen: true,
    });
    t.after(() => metrics.close({ deadlineMs: 0 }));
    const base = metrics.addresses[0]!.replace('tcp:', 'http:');
    const connection = await dial(server.addresses[0]!);
    await awaitCondition(() => server.stats.totals.connections === 1, 'the connection');
    connection.write('twelve bytes');
    await awaitCondition(() => server.stats.totals.bytesReceived === 12, 'the bytes');

    const plain = await fetch(`${base}/metrics`);
    assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const families = parseExposition(await plain.text());
    const sum = (name: string) =>
      families.get(name)!.samples.reduce((total, { value }) => total + value, 0);
    assert.equal(sum('millrace_connections'), 1);
    assert.equal(sum('millrace_received_bytes_total'), 12);
    assert.equal(sum('millrace_connections_accepted_total'), 1);
    assert.equal(families.get('millrace_connections')!.samples[0]!.labels.service, 'test');

    // As Prometheus asks.
    const accept =
      'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1';
    const open = await fetch(`${base}/metrics`, { headers: { accept } });
    assert.match(
      open.headers.get('content-type')!,
      /^application\/openmetrics-text; version=1\.0\.0/,
    );
    parseExposition(await open.text(), true);

    assert.equal((await fetch(`${base}/`)).status, 404);
    const posted = await fetch(`${base}/metrics`, { method: 'POST' });
    assert.equal(posted.status, 405);
    assert.equal(posted.headers.get('allow'), 'GET, HEAD');
    const head = await fetch(`${base}/metrics`, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    connection.abort();
  });
}

it('wrong options are told of at once', async (t) => {
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler: {} });
  t.after(() => server.close());
  assert.throws(() => metricsHandler(server, { prefix: '1x' }), TypeError);
});
