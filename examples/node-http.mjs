/**
 * An http.Server of Node on every CPU: one process, one port, a thread and a server for each reactor.
 *
 *     node examples/node-http.mjs [listen URL]
 *
 * and `curl http://127.0.0.1:9005/`. This file is both: the main program, and the module that each thread loads.
 */
// @ts-check

import http from 'node:http';
import { isMainThread, threadId } from 'node:worker_threads';

import { closeOnSignals, serve } from 'millrace';
import { nodeHandler } from 'millrace/node';

const httpServer = http.createServer((request, response) => {
  response.end(`${request.method} ${request.url} in thread ${threadId}\n`);
});

export const handler = nodeHandler(httpServer);

if (isMainThread) {
  const server = await serve({
    listen: process.argv[2] ?? 'tcp://127.0.0.1:9005',
    handler: new URL(import.meta.url),
    reactors: 'auto',
  });
  console.log(`node-http: listening on ${server.addresses.join(', ')}`);
  closeOnSignals(server);
}
