/**
 * A TCP proxy: each connection is passed on to another address and back, by the same reactor.
 *
 *     node examples/proxy.mjs [listen URL] [target URL]
 *
 * - Neither side gets ahead of the other: `pause-source` stops reading from the one while the other's queue is full.
 * - A FIN is passed on and the other direction goes on, as between the two without the proxy.
 */
// @ts-check

import { isMainThread } from 'node:worker_threads';

import { closeOnSignals, serve } from 'millrace';

/** @typedef {import('millrace').Connection<any>} Side Its context: the other side, once there is one. */

/** @type {import('millrace').ConnectionOptions} For both sides. */
const options = { whenFull: 'pause-source', allowHalfOpen: true, halfOpenTimeoutMs: 0 };

/** What both sides have in common. @type {import('millrace').Handler<any>} */
const relay = {
  onData(side, bytes) {
    side.context.write(bytes);
  },
  onEnd(side) {
    side.context.end();
  },
  onClose(side, reason) {
    // Where both directions have ended, and at our own end, the other side ends well by itself.
    if (reason.code !== 'ended' && reason.code !== 'shutdown') side.context?.abort();
  },
};

/** @param {Side} client @param {string} target */
async function connect(client, target) {
  try {
    const dialOptions = { ...options, handler: relay, context: client };
    const upstream = await client.reactor.dial(target, dialOptions);
    client.context = upstream;
    if (client.state === 'closed') upstream.abort();
    client.resume();
  } catch {
    client.abort();
  }
}

/** A function of `data`, which each reactor's thread calls. @param {string} target */
export function handler(target) {
  return {
    ...relay,
    /** @param {Side} client */
    onOpen(client) {
      client.pause();
      void connect(client, target);
    },
  };
}

// Not in the threads, which want the handler alone.
if (isMainThread && process.argv[1] === import.meta.filename) {
  const [listen = 'tcp://127.0.0.1:9003', target = 'tcp://127.0.0.1:9000'] = process.argv.slice(2);
  const server = await serve({
    ...options,
    listen,
    handler: new URL(import.meta.url),
    data: target,
    reactors: 2,
  });
  console.log(`proxy: listening on ${server.addresses.join(', ')}, passes on to ${target}`);
  closeOnSignals(server);
}
