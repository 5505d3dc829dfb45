// The WebSocket server of millrace under measurement: `node websocket-server.mjs`; prints "listening PORT". On /echo it
// echoes, on /hub it publishes each message to all that are there. MILLRACE_DRIVER as ever. No pings: clients that wait
// for their slice are silent, and no peer sends any either.
import { closeOnSignals, serve } from '../../dist/index.js';
import { WebSocketHub, webSocketServer } from '../../dist/websocket/index.js';
import { answerMemory } from '../peers/memory.mjs';

const hub = new WebSocketHub();
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  backlog: 4096,
  handler: webSocketServer({
    hub,
    pingIntervalMs: 0,
    onUpgrade: ({ path }) => ({ context: path === '/hub' }),
    onOpen(socket) {
      if (socket.context) hub.subscribe(socket, 'all');
    },
    onMessage(socket, data, isBinary) {
      if (socket.context) hub.publish('all', data, { isBinary });
      else socket.send(data, { isBinary });
    },
  }),
});
closeOnSignals(server);
answerMemory();
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
