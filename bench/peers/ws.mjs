// Peer: npm ws on node:http. `node ws.mjs`; prints "listening PORT". On /echo it echoes, on /hub it sends each message
// to all that are there.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { answerMemory } from './memory.mjs';

const http = createServer({ noDelay: true });
const server = new WebSocketServer({ server: http });
const members = new Set();

function onError() {
  this.terminate();
}

function onClose() {
  members.delete(this);
}

function sendBack(data, binary) {
  this.send(data, { binary });
}

function sendToAll(data, binary) {
  for (const member of members) member.send(data, { binary });
}

server.on('connection', (socket, { url }) => {
  socket.on('error', onError);
  if (url !== '/hub') {
    socket.on('message', sendBack);
    return;
  }
  members.add(socket);
  socket.on('close', onClose);
  socket.on('message', sendToAll);
});
http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  process.stdout.write(`listening ${http.address().port}\n`);
});
answerMemory();
