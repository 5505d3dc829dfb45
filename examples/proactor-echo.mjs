/**
 * The echo server of gaio: reads and writes are submitted, and their results handled in one loop.
 *
 *     node examples/proactor-echo.mjs [listen URL]
 */
// @ts-check

import { closeOnSignals, serve } from 'millrace';
import { Watcher } from 'millrace/proactor';

const watcher = new Watcher();

const server = await serve({
  listen: process.argv[2] ?? 'tcp://127.0.0.1:9000',
  handler: {
    onOpen(connection) {
      watcher.read(connection);
    },
    onShutdown: () => watcher.close(),
  },
});
console.log(`proactor-echo: listening on ${server.addresses.join(', ')}`);
closeOnSignals(server);

for await (const results of watcher) {
  for (const { operation, connection, buffer, error } of results) {
    if (error !== undefined) {
      // ERR_END: the peer has everything back, since we read on only when a write is done.
      watcher.free(connection);
    } else if (operation === 'read') {
      // A copy: what is read without a buffer is valid until the next batch, and a slow write takes longer.
      watcher.write(connection, Buffer.from(buffer));
    } else {
      watcher.read(connection);
    }
  }
}
