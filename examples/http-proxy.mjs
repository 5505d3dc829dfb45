/**
 * An HTTP proxy: tunnels by CONNECT, such as for https:, and plain requests passed on by the client.
 *
 *     node examples/http-proxy.mjs [listen URL] [ports that tunnels may lead to, 443 by default]
 *     curl --proxy http://127.0.0.1:3128 https://example.org/
 *
 * - Which tunnels are allowed is the proxy's to say: an open proxy leads into its own network, too.
 * - Neither side of a tunnel gets ahead of the other: `pause-source` stops reading from the one while the other's
 *   queue is full. A FIN is passed on.
 */
// @ts-check

import { isMainThread } from 'node:worker_threads';

import { closeOnSignals, dial, serve } from 'millrace';
import { HttpClient, httpHandler } from 'millrace/http';

/** @typedef {import('millrace').Connection<any>} Side Its context: the other side. */

/** Fields that concern one connection alone (RFC 9110 7.6.1), and those that the client writes itself. */
const OWN = new Set([
  ...['connection', 'content-length', 'host', 'keep-alive', 'proxy-authorization'],
  ...['proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
]);

/** Of both sides of a tunnel. @type {import('millrace').Handler<any>} */
const relay = {
  defaults: { whenFull: 'pause-source', allowHalfOpen: true, halfOpenTimeoutMs: 0 },
  onData(side, bytes) {
    side.context.write(bytes);
  },
  onEnd(side) {
    side.context.end();
  },
  onClose(side, reason) {
    if (reason.code !== 'ended' && reason.code !== 'shutdown') side.context?.abort();
  },
};

/** @param {readonly string[]} ports */
export function handler(ports = ['443']) {
  const client = new HttpClient(dial, { decompress: false });
  return httpHandler({
    onShutdown: () => client.close(),
    async onConnect(request, response) {
      if (!ports.includes(request.target.slice(request.target.lastIndexOf(':') + 1))) {
        response.status = 403;
        response.end('not to that port\n');
        return;
      }
      try {
        /** @type {Side} */
        const upstream = await request.connection.reactor.dial(`tcp://${request.target}`, {
          handler: relay,
        });
        // Until the client is there, nobody would get what the target says.
        upstream.pause();
        const tunnel = {
          ...relay,
          /** @param {Side} side */
          onOpen(side) {
            side.context = upstream;
            upstream.context = side;
            upstream.resume();
          },
        };
        if (response.tunnel(tunnel) === 'closed') upstream.abort();
      } catch {
        response.status = 502;
        response.end('it does not answer\n');
      }
    },
    async onRequest(request, response) {
      if (!request.target.startsWith('http://')) {
        response.status = 400;
        response.end('this is a proxy\n');
        return;
      }
      const fields = [...request.rawHeaders()].filter(([name]) => !OWN.has(name.toLowerCase()));
      const { method, target, contentLength } = request;
      const body = request.hasBody && { body: request, ...(contentLength && { contentLength }) };
      const answer = await client
        .request(target, { method, fields, ...body })
        .catch(() => undefined);
      if (answer === undefined) {
        response.status = 502;
        response.end('it does not answer\n');
        return;
      }
      response.status = answer.status;
      for (const [name, value] of answer.rawHeaders()) {
        if (!OWN.has(name.toLowerCase())) response.field(name, value);
      }
      for await (const piece of answer) {
        if (!(await response.writeAll(piece))) break;
      }
      response.end();
    },
  });
}

if (isMainThread && process.argv[1] === import.meta.filename) {
  const [listen = 'tcp://127.0.0.1:3128', ...ports] = process.argv.slice(2);
  const server = await serve({ listen, handler: handler(ports.length > 0 ? ports : undefined) });
  closeOnSignals(server);
  console.log(`http-proxy: listening on ${server.addresses[0]}`);
}
