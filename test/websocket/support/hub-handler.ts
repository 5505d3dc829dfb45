/** For several reactors: `+topic` subscribes, `-topic` unsubscribes, `topic message` publishes to the others. */

import type { Reactor } from '../../../src/index.js';
import { WebSocketHub, webSocketServer } from '../../../src/websocket/index.js';

const hub = new WebSocketHub();
let own = 0;

export const handler = webSocketServer({
  hub,
  deflate: { thresholdBytes: 100 },
  onMessage(socket, data) {
    const text = data.toString();
    if (text.startsWith('+')) {
      socket.send(
        `${text} ${hub.subscribe(socket, text.slice(1))} ${socket.connection.reactor.index}`,
      );
    } else if (text.startsWith('-')) {
      socket.send(`${text} ${hub.unsubscribe(socket, text.slice(1))}`);
    } else {
      const space = text.indexOf(' ');
      hub.publish(text.slice(0, space), text.slice(space + 1), { except: socket });
    }
  },
  reactorHooks: {
    onMessage: () => {
      own += 1;
    },
    tasks: {
      stats: () => ({ ...hub.stats, own }),
      post: (reactor: Reactor) => reactor.broadcast(Buffer.from('mine')),
    },
  },
});
