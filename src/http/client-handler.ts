/** The hooks of a client's connections: each is told to its ClientConnection, which is the context. */

import type { Handler } from '../api.js';
import { setDataAt } from '../hooks.js';
import { ClientConnection } from './client-connection.js';

export const CLIENT_HANDLER: Handler<ClientConnection> = {
  defaults: { allowHalfOpen: true },
  onOpen(connection) {
    connection.context.open(connection);
  },
  onData(connection, bytes) {
    connection.context.receive(bytes, 0, bytes.length);
  },
  onEnd(connection) {
    connection.context.onPeerEnd();
  },
  onServerClose(connection) {
    connection.context.goAway();
  },
  onClose(connection, reason) {
    // Else it left HTTP, and its context is another handler's.
    if (connection.context instanceof ClientConnection) {
      connection.context.onClose(reason.error);
    }
  },
};

setDataAt(CLIENT_HANDLER.onData!, ({ context }, memory, start, end) => {
  (context as ClientConnection).receive(memory, start, end);
});
