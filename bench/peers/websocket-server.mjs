// Peer of bench/websocket-load.ts: `node --expose-gc websocket-server.mjs millrace|ws`; prints "listening PORT". On the
// path /echo it echoes, on /hub it sends each message to all that are there. A line on standard input is answered with
// the bytes of JavaScript memory in use after a collection.
import { createInterface } from 'node:readline';

const [, , kind] = process.argv;

async function startMillrace() {
  const { serve } = await import('../../dist/index.js');
  const { WebSocketHub, webSocketServer } = await import('../../dist/websocket/index.js');
  const hub = new WebSocketHub();
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    backlog: 4096,
    handler: webSocketServer({
      hub,
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
  return Number(new URL(server.addresses[0]).port);
}

async function startWs() {
  const { createServer } = await import('node:http');
  const { WebSocketServer } = await import('ws');
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  const members = new Set();
  server.on('connection', (socket, { url }) => {
    if (url === '/hub') members.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => members.delete(socket));
    socket.on('message', (data, binary) => {
      if (url !== '/hub') socket.send(data, { binary });
      else for (const member of members) member.send(data, { binary });
    });
  });
  await new Promise((resolve) =>
    http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve),
  );
  return http.address().port;
}

const port = await (kind === 'ws' ? startWs() : startMillrace());
process.stdout.write(`listening ${port}\n`);
createInterface({ input: process.stdin }).on('line', () => {
  for (let i = 0; i < 3; i += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  process.stdout.write(`${heapUsed + external}\n`);
});
