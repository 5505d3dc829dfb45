// The HTTP server of millrace under measurement: `node http-server.mjs`; prints "listening PORT". GET /plaintext.
// MILLRACE_DRIVER as ever.
import { closeOnSignals, serve } from '../../dist/index.js';
import { httpHandler, prepareFields, Router } from '../../dist/http/index.js';
import { answerMemory } from '../peers/memory.mjs';

const PLAIN = prepareFields({ 'Content-Type': 'text/plain' });
const router = new Router().get('/plaintext', (_request, response) => {
  response.fields(PLAIN).end('Hello, World!');
});
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  backlog: 4096,
  allowHalfOpen: true,
  // Clients that wait for their slice are silent for longer than the default allows.
  handler: httpHandler({ onRequest: router.onRequest, idleTimeoutMs: 600_000 }),
});
closeOnSignals(server);
answerMemory();
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
