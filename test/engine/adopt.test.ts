/** Adoption across threads: descriptors are valid in all of them. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { serve } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { RawListener, RawPeer } from '../support/raw-peer.js';

it('a descriptor moves to another thread’s reactor by its number', async () => {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: new URL('../support/engine-handlers/adopter.js', import.meta.url),
    reactors: 3,
  });
  const listener = RawListener.listen('tcp://127.0.0.1:0');
  const peers: RawPeer[] = [];
  for (let reactor = 0; reactor < 3; reactor += 1) {
    const peer = await RawPeer.connect(listener.url);
    peers.push(peer);
    let fd = -1;
    await awaitCondition(() => {
      fd = listener.accept();
      return fd >= 0;
    }, 'a connection to accept');
    const id = (await server.execute(reactor, 'take', fd)) as number;
    await peer.sendAll('hello');
    assert.equal(String(await peer.read(7)), `${reactor} hello`);
    assert.equal(server.write(id, Buffer.from('by id')), 'queued');
    assert.equal(String(await peer.read(5)), 'by id');
  }
  await assert.rejects(server.execute(0, 'take', 1_000_000), { code: 'EBADF' });
  await server.close({ deadlineMs: 0 });
  listener.close();
  for (const peer of peers) {
    peer.close();
  }
});
