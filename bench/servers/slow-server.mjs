// The server of bench/protocols/slow.ts, with the limits that millrace has by default: `node slow-server.mjs`; prints
// "listening PORT". GET /plaintext for honest clients; POST /echo reads a body, GET /large streams 64 MiB; WebSocket on
// /ws (echo, with compression), and on /hub, where 4 KiB are published 100 times a second while anybody is there.
import { closeOnSignals, serve } from '../../dist/index.js';
import { httpHandler, prepareFields, Router } from '../../dist/http/index.js';
import { upgradeHook, WebSocketHub, webSocketServer } from '../../dist/websocket/index.js';
import { answerMemory } from '../peers/memory.mjs';

const PIECES = 1_024;
const PUBLISH_MS = 10;
const PLAIN = prepareFields({ 'Content-Type': 'text/plain' });
const piece = Buffer.alloc(65_536, 'x');
const message = Buffer.alloc(4_096, 'm');

const router = new Router()
  .get('/plaintext', (_request, response) => response.fields(PLAIN).end('Hello, World!'))
  .post('/echo', async (request, response) => response.end(await request.bytes()))
  .get('/large', async (_request, response) => {
    for (let i = 0; i < PIECES; i += 1) if (!(await response.writeAll(piece))) return;
    response.end();
  });
const echo = webSocketServer({
  deflate: true,
  onMessage: (socket, data, isBinary) => void socket.send(data, { isBinary }),
});
const hub = new WebSocketHub({ whenSlow: 'drop-new' });
const members = webSocketServer({ hub, onOpen: (socket) => void hub.subscribe(socket, 'all') });
const [toEcho, toHub] = [upgradeHook(echo, '/ws'), upgradeHook(members, '/hub')];
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  backlog: 4096,
  allowHalfOpen: true,
  handler: httpHandler({
    onRequest: router.onRequest,
    onUpgrade: (request, connection) => toEcho(request, connection) ?? toHub(request, connection),
    // Bodies that do not come are what the benchmark is about.
    onError() {},
    async onBoot(reactor) {
      await echo.onBoot?.(reactor);
      await members.onBoot?.(reactor);
    },
    onMessage: (reactor, bytes, from) => members.onMessage?.(reactor, bytes, from),
  }),
});
closeOnSignals(server);
setInterval(() => {
  if (hub.stats.topics > 0) hub.publish('all', message, { isBinary: true });
}, PUBLISH_MS).unref();
answerMemory(() => ({ hub: hub.stats }));
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
