/**
 * The handler of `millrace echo`, as a module, so that it can run in the threads of several reactors. The command
 * serves it with `allowHalfOpen` and with `whenFull: 'pause-source'`: a client that does not take its bytes back is not
 * read from, so that what waits for it is bounded.
 */

import type { Handler } from '../api.js';

export const handler: Handler = {
  onData(connection, bytes) {
    if (connection.write(bytes) === 'full') {
      // Cannot happen while the source is paused in time. An echo with a hole in it would be worse than none.
      connection.abort();
    }
  },
  onEnd(connection) {
    connection.end();
  },
  // What the kernel has no room for is dropped, as it may be on the way as well.
  onDatagram(socket, bytes, peer) {
    socket.send(bytes, peer);
  },
  onSessionData(session, bytes) {
    session.send(bytes);
  },
};
