/** Several reactors: sessions that resume on another one, and certificates replaced under load. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';

import { type Server, serve } from '../../src/index.js';
import { TicketKeys, type TlsStats } from '../../src/tls/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { TestCertificates } from '../support/test-certificates.js';
import { checkLeaks, cleanUp, NodeClient } from '../support/tls-rig.js';

const certificates = new TestCertificates();
const trusting = { ca: certificates.ca.cert, servername: 'localhost' };
const REACTORS = 3;
checkLeaks();

async function start(keys: TicketKeys): Promise<{ server: Server; port: number }> {
  const { certFile, keyFile } = certificates.server;
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('../support/engine-handlers/tls.js', import.meta.url),
    reactors: REACTORS,
    data: { certFile, keyFile, tickets: keys.handle },
    balance: 'round-robin',
  });
  cleanUp(() => server.close({ deadlineMs: 0 }));
  return { server, port: Number(server.addresses[0]!.split(':').at(-1)) };
}

async function sum(server: Server, name: keyof TlsStats): Promise<number> {
  const all = (await server.executeAll('tlsStats')) as TlsStats[];
  return all.reduce((total, stats) => total + stats[name], 0);
}

it('a ticket of one reactor resumes on all, also after a rotation by the main thread', async () => {
  const keys = TicketKeys.create({ rotateAfterMs: 0 });
  const { server, port } = await start(keys);
  const first = NodeClient.start(port, trusting);
  const [session] = (await once(first.socket, 'session')) as [Buffer];
  const from = (await first.read(1)).toString();
  const resumedOn = async () => {
    const on = new Set<string>();
    for (let i = 0; i < 2 * REACTORS; i += 1) {
      const peer = await NodeClient.connect(port, { ...trusting, session });
      assert.equal(peer.socket.isSessionReused(), true);
      on.add((await peer.read(1)).toString());
      peer.socket.destroy();
    }
    return on;
  };
  assert.equal((await resumedOn()).size, REACTORS, `first was on ${from}`);
  keys.rotate();
  assert.equal((await resumedOn()).size, REACTORS);
  keys.rotate();
  const late = await NodeClient.connect(port, { ...trusting, session });
  assert.equal(late.socket.isSessionReused(), false);
  assert.equal(await sum(server, 'handshakesResumed'), 4 * REACTORS);
  const reused = (await server.executeAll('reused')) as boolean[][];
  assert.equal(reused.flat().filter(Boolean).length, 4 * REACTORS);
});

it('certificates are replaced on all reactors under load, and nobody notices', async () => {
  const { server, port } = await start(TicketKeys.create());
  const steady: NodeClient[] = [];
  for (let i = 0; i < 2 * REACTORS; i += 1) {
    const peer = await NodeClient.connect(port, trusting);
    await peer.read(1);
    steady.push(peer);
  }
  const renewed = certificates.issue('renewed', 'DNS:localhost');
  let isOver = false;
  let echoes = 0;
  const load = steady.map(async (peer) => {
    while (!isOver) {
      await peer.assertEchoes();
      echoes += 1;
    }
  });
  const names = new Set<string>();
  const newcomers = (async () => {
    while (!isOver) {
      const peer = await NodeClient.connect(port, trusting);
      names.add(String(peer.socket.getPeerCertificate().subject.CN));
      await peer.read(1);
      peer.socket.destroy();
    }
  })();
  for (let i = 1; i <= 10; i += 1) {
    const identity = i % 2 === 0 ? certificates.server : renewed;
    await server.executeAll('reloadTls', { cert: identity.cert, key: identity.key });
    const before = echoes;
    await awaitCondition(() => echoes > before + steady.length, 'echoes to go on');
    await rounds(1);
  }
  await assert.rejects(server.executeAll('reloadTls', { cert: 'nothing' }), /Cannot read the cert/);
  isOver = true;
  await Promise.all([...load, newcomers]);
  assert.deepEqual([...names].sort(), ['renewed', 'server']);
  assert.equal(await sum(server, 'handshakesFailed'), 0);
  assert.equal(await sum(server, 'protocolErrors'), 0);
});

it('what is written by id, from wherever, is encrypted as all else', async () => {
  const { server, port } = await start(TicketKeys.create());
  const peers: NodeClient[] = [];
  for (let i = 0; i < REACTORS; i += 1) {
    const peer = await NodeClient.connect(port, trusting);
    await peer.read(1);
    peers.push(peer);
  }
  const ids = ((await server.executeAll('ids')) as number[][]).flat();
  assert.equal(ids.length, REACTORS);
  for (const id of ids) {
    assert.equal(server.write(id, Buffer.from('from the main thread ')), 'queued');
  }
  const results = (await server.execute(0, 'writeAll', ids)) as string[];
  assert.ok(results.every((result) => result === 'queued' || result === 'sent'));
  await server.executeAll('writeFound');
  const text = 'from the main thread from reactor 0 1234';
  for (const peer of peers) {
    const received = (await peer.read(text.length)).toString();
    // The order of different senders is nobody's promise.
    for (const part of ['from the main thread ', 'from reactor 0 ', '1234']) {
      assert.ok(received.includes(part), received);
    }
    await peer.assertEchoes();
  }
});
