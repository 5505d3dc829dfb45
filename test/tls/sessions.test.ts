/** Tickets: resumed under the keys that there are, and nowhere else. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';

import { TicketKeys } from '../../src/tls/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, ECHO, NodeClient, startTls } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const trusting = { ca: certificates.ca.cert, servername: 'localhost' };
checkLeaks();

describe('sessions', () => {
  async function sessionOf(port: number, version: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
    const peer = NodeClient.start(port, { ...trusting, minVersion: version, maxVersion: version });
    const [session] = (await once(peer.socket, 'session')) as [Buffer];
    // What node:tls is given to write in that event's own callback it does not send.
    await rounds(1);
    await peer.assertEchoes();
    peer.socket.destroy();
    return session;
  }

  async function isResumed(
    port: number,
    session: Buffer,
    version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3',
  ): Promise<boolean> {
    const peer = await NodeClient.connect(port, { ...trusting, session, maxVersion: version });
    await peer.assertEchoes();
    const isReused = peer.socket.isSessionReused();
    peer.socket.destroy();
    return isReused;
  }

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`of ${version} resume under the current key and the one before, and no longer`, async () => {
      const keys = TicketKeys.create({ rotateAfterMs: 0 });
      const rig = await startTls(certificates, ECHO, { tickets: keys });
      const session = await sessionOf(rig.port, version);
      assert.equal(await isResumed(rig.port, session, version), true);
      keys.rotate();
      assert.equal(await isResumed(rig.port, session, version), true, 'after one rotation');
      assert.equal(rig.seen.at(-1)!.connection.tls.isSessionReused, true);
      assert.equal(await isResumed(rig.port, await sessionOf(rig.port, version), version), true);
      keys.rotate();
      assert.equal(await isResumed(rig.port, session, version), false, 'after two');
    });
  }

  it('tickets that come with an old one are sealed with the current key', async () => {
    const keys = TicketKeys.create({ rotateAfterMs: 0 });
    const rig = await startTls(certificates, ECHO, { tickets: keys });
    const old = await sessionOf(rig.port, 'TLSv1.3');
    keys.rotate();
    const peer = NodeClient.start(rig.port, { ...trusting, session: old });
    const [renewed] = (await once(peer.socket, 'session')) as [Buffer];
    assert.equal(peer.socket.isSessionReused(), true);
    keys.rotate();
    assert.equal(await isResumed(rig.port, old), false);
    assert.equal(await isResumed(rig.port, renewed), true);
  });

  it('a reload in the midst of a handshake with an old ticket harms nobody', async () => {
    const keys = TicketKeys.create({ rotateAfterMs: 0 });
    const rig = await startTls(certificates, ECHO, { tickets: keys });
    const session = await sessionOf(rig.port, 'TLSv1.3');
    keys.rotate();
    const { server } = certificates;
    const { handshakesStarted } = rig.handler.tlsStats;
    const peer = NodeClient.start(rig.port, { ...trusting, session });
    await awaitCondition(() => rig.handler.tlsStats.handshakesStarted > handshakesStarted, 'it');
    for (let i = 0; i < 20; i += 1) {
      rig.handler.reload({ cert: server.cert, key: server.key });
      await rounds(1);
    }
    await peer.assertEchoes();
    assert.equal(peer.socket.isSessionReused(), true);
  });

  it('there are none without tickets', async () => {
    const rig = await startTls(certificates, ECHO, { tickets: false });
    assert.equal(rig.handler.ticketKeys, undefined);
    const peer = await NodeClient.connect(rig.port, trusting);
    let sessions = 0;
    peer.socket.on('session', () => {
      sessions += 1;
    });
    await peer.assertEchoes();
    await peer.assertEchoes();
    assert.equal(sessions, 0);
  });
});
