// Peer: one process, one thread, node:tls, written as node-net.mjs is. `node node-tls.mjs CERT KEY`; prints "listening
// PORT".
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import { answerMemory } from './memory.mjs';

const BACKLOG = 4096;
const [certFile, keyFile] = process.argv.slice(2);

function onData(chunk) {
  if (!this.write(chunk)) this.pause();
}

function onDrain() {
  this.resume();
}

function onError() {
  this.destroy();
}

const server = createServer(
  { cert: readFileSync(certFile), key: readFileSync(keyFile), noDelay: true },
  (socket) => {
    socket.on('data', onData);
    socket.on('drain', onDrain);
    socket.on('error', onError);
  },
);
server.on('tlsClientError', () => {});
server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, () => {
  process.stdout.write(`listening ${server.address().port}\n`);
});
answerMemory();
