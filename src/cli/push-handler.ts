/**
 * The handler of `millrace push`, as a module, so that it can run in the threads of several reactors. Reactor 0 ticks
 * for all of them: the WebSockets get the line through the hub, in a frame that is encoded once, and the others by a
 * message to each reactor.
 *
 * Both kinds of clients come to the same port. A WebSocket begins with a request, `GET`; whoever begins with something
 * else, or has said nothing for a whole tick, is a plain one.
 */

import type { Connection, Handler } from '../api.js';
import { WebSocketHub, webSocketServer } from '../websocket/index.js';

const INTERVAL_MS = 1_000;
const TOPIC = 'tick';
/** First byte of `GET`. */
const LETTER_G = 0x47;

/** The context of a plain client; that of a WebSocket is the handshake's, and of a new one there is none. */
const PLAIN = { isPlain: true };

const plain = new Set<Connection>();
/** New clients, and those that were new at the tick before. */
let undecided = new Set<Connection>();
let silent = new Set<Connection>();
let ticks = 0;

// A tick that is late is of no use.
const hub = new WebSocketHub({ whenSlow: 'drop-new' });

const webSockets = webSocketServer({
  hub,
  // Clients have nothing to say.
  messageBytesMax: 1_024,
  onOpen(socket) {
    hub.subscribe(socket, TOPIC);
  },
  reactorHooks: {
    onTick(reactor) {
      if (reactor.index !== 0) {
        return undefined;
      }
      ticks += 1;
      const line = `tick ${ticks}`;
      hub.publish(TOPIC, line);
      reactor.broadcast(Buffer.from(`${line}\n`));
      return INTERVAL_MS;
    },
    onMessage(_reactor, line) {
      for (const connection of silent) {
        join(connection);
      }
      silent = undecided;
      undecided = new Set();
      for (const connection of plain) {
        // What is full or closed misses a tick.
        connection.write(line);
      }
    },
  },
});

function join(connection: Connection): void {
  connection.context = PLAIN;
  plain.add(connection);
}

export const handler: Handler = {
  ...webSockets,
  // Who only listens may have sent FIN.
  defaults: { allowHalfOpen: true, halfOpenTimeoutMs: 0 },
  onOpen(connection) {
    undecided.add(connection);
  },
  onData(connection, bytes) {
    const { context } = connection;
    if (context === PLAIN) {
      return undefined;
    }
    if (context !== undefined) {
      return webSockets.onData!(connection, bytes);
    }
    undecided.delete(connection);
    silent.delete(connection);
    if (bytes[0] !== LETTER_G) {
      join(connection);
      return undefined;
    }
    webSockets.onOpen!(connection);
    return webSockets.onData!(connection, bytes);
  },
  onDrain(connection) {
    return connection.context === PLAIN ? undefined : webSockets.onDrain!(connection);
  },
  onEnd(connection) {
    return connection.context === PLAIN ? undefined : webSockets.onEnd!(connection);
  },
  onServerClose(connection) {
    const { context } = connection;
    return context === PLAIN || context === undefined
      ? 'close'
      : webSockets.onServerClose!(connection);
  },
  onClose(connection, reason) {
    undecided.delete(connection);
    silent.delete(connection);
    return plain.delete(connection) ? undefined : webSockets.onClose!(connection, reason);
  },
};
