// A TLS echo server of millrace: `node tls-echo.mjs CERT KEY`; prints "listening PORT". MILLRACE_DRIVER as ever.
import { readFileSync } from 'node:fs';
import { closeOnSignals, serve } from '../../dist/index.js';
import { tlsHandler } from '../../dist/tls/index.js';
import { answerMemory } from '../peers/memory.mjs';

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

answerMemory(await mallocFigures());
process.stdout.write(`listening ${new URL(server.addresses[0]).port}\n`);

/**
 * What is in use of malloc's, which is OpenSSL's. mallinfo2 returns a structure, on x86-64 by a hidden first argument.
 */
async function mallocFigures() {
  if (process.arch !== 'x64') return () => ({});
  const { declareFunctions, loadLibc, viewMemory } = await import('../../dist/base/ffi.js');
  const { mallinfo2 } = declareFunctions(null, { mallinfo2: 'void mallinfo2(uintptr_t)' });
  const address = loadLibc().calloc(10, 8);
  const fields = new BigUint64Array(viewMemory(address, 80));
  return () => {
    mallinfo2(address);
    return { mallocBytes: Number(fields[4] + fields[7]) };
  };
}
