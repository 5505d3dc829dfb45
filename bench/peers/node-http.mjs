// Peer: one process, one thread, node:http. `node node-http.mjs`; prints "listening PORT". The length is given, so that
// the response is one write and not chunked.
import { createServer } from 'node:http';
import { answerMemory } from './memory.mjs';

const BODY = 'Hello, World!';
const HEAD = { 'Content-Type': 'text/plain', 'Content-Length': BODY.length };

const server = createServer({ noDelay: true, keepAliveTimeout: 600_000 }, (request, response) => {
  if (request.url === '/plaintext') response.writeHead(200, HEAD).end(BODY);
  else response.writeHead(404).end();
});
server.on('clientError', (_error, socket) => socket.destroy());
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
  process.stdout.write(`listening ${server.address().port}\n`);
});
answerMemory();
