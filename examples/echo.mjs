/**
 * The smallest server: sends back what it receives.
 *
 *     node examples/echo.mjs [listen URL]        such as tcp://127.0.0.1:9000 or unix:///tmp/echo.sock
 */
// @ts-check

import { closeOnSignals, serve } from 'millrace';

const server = await serve({
  listen: process.argv[2] ?? 'tcp://127.0.0.1:9000',
  handler: {
    onData(connection, bytes) {
      connection.write(bytes);
    },
    // The peer will send no more: neither do we, once it has everything back.
    onEnd(connection) {
      connection.end();
    },
  },
  // A peer that does not take its bytes back is not read from, so that what waits for it stays small.
  whenFull: 'pause-source',
  allowHalfOpen: true,
});

console.log(`echo: listening on ${server.addresses.join(', ')}`);
closeOnSignals(server);
