// The echo server on node:net that both peers run, written to do well: Nagle's algorithm off, a deep backlog, no
// closures or pipes for a connection (listeners are shared functions), and back-pressure obeyed, as the C reference and
// millrace obey it. Called by node-net.mjs and node-cluster.mjs.
import { createServer } from 'node:net';

const BACKLOG = 4096;

function onData(chunk) {
  if (!this.write(chunk)) this.pause();
}

function onDrain() {
  this.resume();
}

function onError() {
  this.destroy();
}

export function listenEcho(port, onListening) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', onData);
    socket.on('drain', onDrain);
    socket.on('error', onError);
  });
  server.listen({ host: '127.0.0.1', port, backlog: BACKLOG }, () =>
    onListening(server.address().port),
  );
}
