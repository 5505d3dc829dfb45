/**
 * A chat over WebSockets and several reactors. The path is the room, and everybody in a room reads what one says,
 * whichever thread their connection lives in. The query is one's name.
 *
 *     node examples/websocket-chat.mjs [listen URL]
 *
 * and in a browser's console, or in Node 22 and later:
 *
 *     socket = new WebSocket('ws://127.0.0.1:9004/lobby?ann')
 *     socket.onmessage = (event) => console.log(event.data)
 *     socket.send('hello')
 *
 * This file is both: the main program, and the module that each reactor's thread loads for its `handler`.
 */
// @ts-check

import { isMainThread } from 'node:worker_threads';

import { closeOnSignals, serve } from 'millrace';
import { WebSocketHub, webSocketServer } from 'millrace/websocket';

/** @typedef {{ name: string, room: string }} Member */

// Who does not read what was said gets closed, and does not make the others wait.
const hub = new WebSocketHub({ whenSlow: 'close' });

export const handler = webSocketServer(
  /** @type {import('millrace/websocket').WebSocketServerOptions<Member>} */ ({
    hub,
    messageBytesMax: 1_024,
    deflate: true,

    onUpgrade({ path, target }) {
      const name = decodeName(target.slice(path.length + 1));
      if (name === '') return { status: 400, message: 'Your name? Such as ws://…/lobby?ann' };
      return { context: { name, room: path } };
    },

    onOpen(socket) {
      const { name, room } = socket.context;
      hub.subscribe(socket, room);
      hub.publish(room, `* ${name} is here`);
    },

    onMessage(socket, data, isBinary) {
      const { name, room } = socket.context;
      if (isBinary) socket.close(1003, 'text only');
      else hub.publish(room, `${name}: ${data}`);
    },

    onClose(socket) {
      const { name, room } = socket.context;
      hub.publish(room, `* ${name} left`);
    },
  }),
);

/** @param {string} query */
function decodeName(query) {
  try {
    return decodeURIComponent(query).slice(0, 20);
  } catch {
    return '';
  }
}

// Not in the threads, and not for `millrace run examples/websocket-chat.mjs`: these want the handler alone.
if (isMainThread && process.argv[1] === import.meta.filename) {
  const server = await serve({
    listen: process.argv[2] ?? 'tcp://127.0.0.1:9004',
    handler: new URL(import.meta.url),
    reactors: 2,
  });
  console.log(`websocket-chat: listening on ${server.addresses.join(', ')}`);
  closeOnSignals(server);
}
