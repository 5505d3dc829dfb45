/** Which context a client gets: by the name it asks for, also late, and after a reload. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { SecureContext } from '../../src/tls/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, ECHO, NodeClient, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const { ca, client } = certificates;
const trusting = { ca: ca.cert, servername: 'localhost' };
checkLeaks();

describe('server names', () => {
  const a = certificates.issue('a', 'DNS:a.test');
  const wild = certificates.issue('wild', 'DNS:*.wild.test');
  const late = certificates.issue('late', 'DNS:late.test');

  async function nameServed(port: number, servername: string): Promise<string> {
    const peer = await NodeClient.connect(port, {
      ca: ca.cert,
      servername,
      checkServerIdentity: () => undefined,
    });
    await peer.assertEchoes();
    const { CN } = peer.socket.getPeerCertificate().subject;
    peer.socket.destroy();
    return String(CN);
  }

  it('choose the certificate: exact, wildcard, asked for, or the default one', async () => {
    const context = SecureContext.server(late);
    const asked: string[] = [];
    const rig = await startTls(certificates, ECHO, {
      serverNames: { 'a.test': a, '*.wild.test': wild },
      async onServerName(name) {
        asked.push(name);
        await new Promise((resolve) => setImmediate(resolve));
        return name === 'late.test' ? context : undefined;
      },
    });
    assert.equal(await nameServed(rig.port, 'a.test'), 'a');
    assert.equal(await nameServed(rig.port, 'x.wild.test'), 'wild');
    assert.equal(await nameServed(rig.port, 'late.test'), 'late');
    assert.equal(await nameServed(rig.port, 'nobody.test'), 'server');
    assert.equal(await nameServed(rig.port, ''), 'server');
    assert.deepEqual(asked, ['late.test', 'nobody.test']);
    assert.equal(rig.seen[1]!.connection.tls.serverName, 'x.wild.test');
    context.close();
  });

  it('that are unknown, or whose provider fails, get an alert', async () => {
    const closed = SecureContext.server(late);
    closed.close();
    const rig = await startTls(certificates, ECHO, {
      unknownServerName: 'reject',
      onServerName(name) {
        switch (name) {
          case 'throws.test':
            throw new Error('no luck');
          case 'rejects.test':
            return Promise.reject(new Error('no luck'));
          case 'wrong.test':
            return 'context' as never;
          case 'closed.test':
            return closed;
          default:
            return undefined;
        }
      },
    });
    const alerts: Record<string, RegExp> = {
      'unknown.test': /unrecognized.name/i,
      'throws.test': /internal.error/i,
      'rejects.test': /internal.error/i,
      'wrong.test': /internal.error/i,
      'closed.test': /internal.error/i,
    };
    for (const [servername, alert] of Object.entries(alerts)) {
      const peer = NodeClient.start(rig.port, { ca: ca.cert, servername });
      await peer.closed();
      assert.match(String(peer.error?.message), alert, servername);
      assert.equal(rig.handshakeErrors.at(-1)!.code, 'ERR_TLS_SERVER_NAME');
    }
    assert.equal(rig.seen.length, 0);
  });

  it('whose context never comes are ended by the deadline', async () => {
    const rig = await startTls(certificates, ECHO, {
      handshakeTimeoutMs: 50,
      onServerName: () => new Promise(() => {}),
    });
    const peer = NodeClient.start(rig.port, { servername: 'never.test' });
    await peer.closed();
    await awaitCondition(() => rig.handshakeErrors.length === 1, 'the error');
    assert.equal(rig.handshakeErrors[0]!.code, 'ERR_TLS_TIMEOUT');
    assert.equal(rig.handler.tlsStats.handshakesTimedOut, 1);
  });
});

describe('reload()', () => {
  it('gives new handshakes the new certificate and leaves connections alone', async () => {
    const rig = await startTls(certificates);
    const before = await NodeClient.connect(rig.port, trusting);
    const renewed = certificates.issue('renewed', 'DNS:localhost');
    rig.handler.reload({ cert: renewed.cert, key: renewed.key });
    const after = await NodeClient.connect(rig.port, trusting);
    assert.equal(before.socket.getPeerCertificate().subject.CN, 'server');
    assert.equal(after.socket.getPeerCertificate().subject.CN, 'renewed');
    await before.assertEchoes();
    await after.assertEchoes();
    assert.throws(() => rig.handler.reload({ cert: 'nothing' }), /Cannot read the certificate/);
    assert.throws(() => rig.handler.reload({ key: client.key }), /private key/);
    const still = await NodeClient.connect(rig.port, trusting);
    assert.equal(still.socket.getPeerCertificate().subject.CN, 'renewed');
  });
});
