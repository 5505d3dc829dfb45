/** A server of TLS that closes: its peers can tell that from having been cut off. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { CloseReason, Connection, Handler } from '../../src/api.js';
import { serve } from '../../src/engine/serve.js';
import { httpHandler } from '../../src/http/http-handler.js';
import type { HttpResponse } from '../../src/http/response.js';
import { dialTls, type SecureConnection, tlsHandler } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { within } from '../support/until.js';

const { ca, server: own } = new TestCertificates();

async function open(inner: Handler) {
  const opened: Connection[] = [];
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: tlsHandler(
      { cert: own.cert, key: own.key },
      inner.onData === undefined
        ? { ...inner, onOpen: (connection) => void opened.push(connection) }
        : inner,
    ),
  });
  const chunks: Buffer[] = [];
  const ends: SecureConnection[] = [];
  const reasons: CloseReason[] = [];
  const client: SecureConnection = await dialTls(server.addresses[0]!, {
    ca: ca.cert,
    serverName: 'localhost',
    handler: {
      onData: (_, bytes) => void chunks.push(Buffer.from(bytes)),
      onEnd: (connection) => void ends.push(connection as SecureConnection),
      onClose: (_, reason) => void reasons.push(reason),
    },
  });
  return { server, client, opened, reasons, chunks, ends };
}

describe('Server.close with TLS', () => {
  it('ends with close_notify', async () => {
    const told: CloseReason[] = [];
    const rig = await open({ onClose: (_, reason) => void told.push(reason) });
    await awaitCondition(() => rig.opened.length === 1, 'the handshake, on both sides');
    await within('the close', rig.server.close());
    await awaitCondition(() => rig.reasons.length === 1, "the client's close");
    assert.deepEqual(rig.reasons, [{ code: 'ended', unsentBytes: 0 }]);
    assert.equal(rig.ends.length, 1);
    assert.deepEqual(told, [{ code: 'shutdown', unsentBytes: 0 }]);
  });

  it('lets the handler inside finish, and ends with close_notify then', async () => {
    const waiting: HttpResponse[] = [];
    const rig = await open(
      httpHandler({ onRequest: (_, response) => void waiting.push(response) }),
    );
    rig.client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await awaitCondition(() => waiting.length === 1, 'the request');
    const closing = rig.server.close();
    waiting[0]!.end('done');
    await within('the close', closing);
    await awaitCondition(() => rig.reasons.length === 1, "the client's close");
    assert.match(
      Buffer.concat(rig.chunks).toString('latin1'),
      /Connection: close\r\nContent-Length: 4\r\n\r\ndone$/,
    );
    assert.deepEqual(rig.reasons, [{ code: 'ended', unsentBytes: 0 }]);
    assert.equal(rig.ends.length, 1);
  });
});
