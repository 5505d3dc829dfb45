/**
 * A server that can be watched: node examples/observed.mjs [LISTEN-URL] [METRICS-URL]
 *
 * It echoes on the first address; on the second one Prometheus finds its figures: curl http://127.0.0.1:9464/metrics.
 * Connections that end badly are told on standard error, by a channel of node:diagnostics_channel.
 */

import { closeOnSignals, onDiagnostic, serve } from 'millrace';
import { metricsHandler } from 'millrace/metrics';

const [listen = 'tcp://127.0.0.1:9005', metricsListen = 'tcp://127.0.0.1:9464'] =
  process.argv.slice(2);

onDiagnostic('millrace:connection:close', ({ connection, reason }) => {
  if (reason.code === 'ended' || reason.code === 'closed') return;
  console.error(`connection ${connection.id}: ${reason.code} ${reason.error?.message ?? ''}`);
});

const server = await serve({
  listen,
  handler: {
    onData(connection, bytes) {
      connection.write(bytes);
    },
  },
});
const metrics = await serve({
  listen: metricsListen,
  handler: metricsHandler(server, { labels: { service: 'echo' } }),
  allowHalfOpen: true,
});
console.log(`observed: listening on ${server.addresses}`);
console.log(`observed: metrics on ${metrics.addresses}`);
closeOnSignals(server);
closeOnSignals(metrics);
