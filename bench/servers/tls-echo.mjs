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

// "memory": what is in use of malloc's and of the JavaScript heap, as JSON. With --expose-gc. mallinfo2 returns a
// structure, which on x86-64 means a hidden first argument: its address.
if (globalThis.gc !== undefined && process.arch === 'x64') {
  const { declareFunctions, loadLibc, viewMemory } = await import('../../dist/base/ffi.js');
  const { mallinfo2 } = declareFunctions(null, { mallinfo2: 'void mallinfo2(uintptr_t)' });
  const address = loadLibc().calloc(10, 8);
  const fields = new BigUint64Array(viewMemory(address, 80));
  process.stdin.on('data', () => {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    mallinfo2(address);
    const mallocBytes = Number(fields[4] + fields[7]);
    const heapBytes = heapUsed + external;
    process.stdout.write(`${JSON.stringify({ mallocBytes, heapBytes })}\n`);
  });
}
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);
