// Peer: uWebSockets.js, HTTP and WebSocket. `node uws.mjs PATH`, where PATH is the folder of its module, or its uws.js:
// it is not on npm. Prints "listening PORT". GET /plaintext, WebSocket echo on /echo; on /hub each message goes to all.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { answerMemory } from './memory.mjs';

const path = resolve(process.argv[2] ?? '.');

function load() {
  try {
    // A folder's package.json is heeded only by require, and the module is CommonJS.
    return createRequire(import.meta.url)(path);
  } catch (error) {
    process.stderr.write(`cannot load uWebSockets.js from ${path}: ${error.message}\n`);
    process.exit(1);
  }
}

const uws = load();
// Clients that wait for their slice are silent.
const quiet = { idleTimeout: 0, sendPingsAutomatically: false };
const options = { maxPayloadLength: 1_048_576, maxBackpressure: 1_048_576, ...quiet };
const app = uws.App();
app
  .get('/plaintext', (response) => {
    response.writeHeader('Content-Type', 'text/plain').end('Hello, World!');
  })
  .ws('/echo', {
    ...options,
    message: (socket, data, isBinary) => void socket.send(data, isBinary),
  })
  .ws('/hub', {
    ...options,
    open: (socket) => void socket.subscribe('all'),
    // The app's publish reaches the sender, too; a socket's does not.
    message: (_socket, data, isBinary) => void app.publish('all', data, isBinary),
  })
  .listen('127.0.0.1', 0, (listening) => {
    if (!listening) {
      process.stderr.write('uWebSockets.js cannot listen\n');
      process.exit(1);
    }
    process.stdout.write(`listening ${uws.us_socket_local_port(listening)}\n`);
  });
answerMemory();
