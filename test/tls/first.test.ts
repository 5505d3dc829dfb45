import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import tls from 'node:tls';
import { serve } from '../../src/index.js';
import { dialTls, tlsHandler } from '../../src/tls/index.js';
import { TestCertificates } from '../support/test-certificates.js';
import { census } from '../../src/base/openssl.js';

const certificates = new TestCertificates();
it('echoes', async () => {
  const handler = tlsHandler({ ...certificates.server, onHandshakeError: (e) => console.log(e) }, {
    onOpen(c) { console.log('open', (c as any).tls.protocol, (c as any).tls.cipher, (c as any).tls.serverName); },
    onData(c, b) { c.write(b); },
    onEnd() { console.log('end'); },
    onClose(_c, r) { console.log('close', r); },
  });
  const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
  const port = Number(new URL(server.addresses[0]!).port);
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: certificates.ca.cert });
  await once(socket, 'secureConnect');
  socket.write('hello');
  const [data] = await once(socket, 'data');
  assert.equal(String(data), 'hello');
  socket.end();
  await once(socket, 'close');
  const c = await dialTls(`tcp://127.0.0.1:${port}`, { ca: certificates.ca.cert, handler: { onData(c, b) { console.log('client got', b.length); c.close(); }, onClose(_c, r) { console.log('client close', r); } } });
  console.log(c.tls.protocol, c.tls.isAuthorized);
  console.log(c.write(Buffer.alloc(100000)));
  await new Promise((r) => setTimeout(r, 300));
  await server.close();
  console.log(census, handler.tlsStats);
});
