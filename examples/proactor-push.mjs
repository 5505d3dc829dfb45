/**
 * The push server of gaio: every second all clients get a line. Who does not take it in time is dropped, and who hangs
 * up is forgotten.
 *
 *     node examples/proactor-push.mjs [listen URL [interval in ms]]
 */
// @ts-check

import { closeOnSignals, serve } from 'millrace';
import { Watcher } from 'millrace/proactor';

/** A client may be behind by so much before it is dropped. */
const LATE_MS = 5_000;
const intervalMs = Number(process.argv[3] ?? 1_000);

const watcher = new Watcher();
/** @type {Set<import('millrace').Connection>} */
const clients = new Set();

const server = await serve({
  listen: process.argv[2] ?? 'tcp://127.0.0.1:9000',
  handler: {
    onOpen(connection) {
      clients.add(connection);
      // What clients say is of no interest, but that they hang up is only seen by reading.
      watcher.read(connection);
    },
    onShutdown() {
      clearInterval(ticker);
      return watcher.close();
    },
  },
});
console.log(`proactor-push: listening on ${server.addresses.join(', ')}`);
closeOnSignals(server);

let ticks = 0;
const ticker = setInterval(() => {
  ticks += 1;
  // One buffer for all: nobody changes it.
  const line = Buffer.from(`tick ${ticks}, ${clients.size} here\n`);
  for (const connection of clients) {
    watcher.write(connection, line, { deadlineMs: LATE_MS });
  }
}, intervalMs);

for await (const results of watcher) {
  for (const { operation, connection, error } of results) {
    if (error !== undefined) {
      clients.delete(connection);
      watcher.free(connection);
    } else if (operation === 'read') {
      watcher.read(connection);
    }
  }
}
