// A TLS echo server of millrace: `node tls-echo.mjs CERT KEY`; prints "listening PORT". MILLRACE_DRIVER as ever.
import { readFileSync } from 'node:fs';
import { closeOnSignals, serve } from '../../dist/index.js';
import { tlsHandler } from '../../dist/tls/index.js';

const [certFile, keyFile] = process.argv.slice(2);
const echo = {
  onData(connection, bytes) {
    connection.write(bytes);
  },
};
const server = await serve({
  listen: 'tcp://127.0.0.1:0',
  handler: tlsHandler({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, echo),
});
closeOnSignals(server);
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
