/** Part of the driver contract: closing, stale events, waking, and everything else. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ECONNRESET } from '../../src/base/errno.js';
import { PENDING } from '../../src/connection/driver.js';
import type { Rig } from './rig.js';

/** Registers the tests; `current` is the rig of the running one. */
export const closingSuite = (current: () => Rig): void => {
  it('reports closed exactly once, never from inside close', async () => {
    const rig = current();
    const peer = await rig.pair(6);
    rig.driver.receive(6);
    rig.driver.close(6, false);
    rig.driver.close(6, false);
    assert.equal(rig.recorder.count('closed 6'), 0);
    assert.equal(rig.driver.hasWork, true);
    await rig.until(() => rig.recorder.count('closed 6') === 1, 'closed');
    rig.kernel.send(peer, Buffer.from('late'));
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, ['closed 6']);
  });

  it('reports what a pending send got to the peer before closed, and nothing after it', async () => {
    const rig = current();
    const peer = await rig.pair(6);
    rig.recorder.queues.set(6, [Buffer.alloc(5)]);
    const n = rig.driver.trySend(6, Buffer.from('reply'));
    rig.driver.close(6, false);
    await rig.until(() => rig.recorder.count('closed 6') === 1, 'closed');
    const got = await rig.readRaw(peer, 5);
    await rig.idle();
    const sent = n === PENDING ? 5 - rig.recorder.queuedBytes(6) : n;
    assert.equal(got.byteLength, sent);
    assert.equal(rig.recorder.lines.at(-1), 'closed 6');
  });

  it('reports nothing of a slot that is closed inside received', async () => {
    const rig = current();
    const peer = await rig.pair(6);
    rig.driver.receive(6);
    rig.recorder.onReceived = (slot) => rig.driver.close(slot, false);
    rig.kernel.send(peer, Buffer.alloc(20_000));
    await rig.until(() => rig.recorder.count('closed 6') === 1, 'closed');
    await rig.idle();
    assert.deepEqual(rig.recorder.lines, ['received 6', 'closed 6']);
  });

  it('aborts with RST', async () => {
    const rig = current();
    const peer = await rig.pair(7);
    rig.driver.close(7, true);
    await rig.until(() => rig.recorder.count('closed 7') === 1, 'closed');
    assert.equal(await rig.readEnd(peer), -ECONNRESET);
  });

  it('reports a reset by the peer, also while receiving is stopped', async () => {
    const rig = current();
    const first = await rig.pair(8);
    const second = await rig.pair(9);
    rig.driver.receive(8);
    rig.driver.receive(9);
    await rig.idle();
    rig.driver.stopReceive(9);
    rig.resetPeer(first);
    rig.resetPeer(second);
    await rig.until(() => rig.recorder.lines.length >= 2, 'two failures');
    await rig.idle();
    assert.deepEqual([...rig.recorder.lines].sort(), [
      `failed 8 ${ECONNRESET}`,
      `failed 9 ${ECONNRESET}`,
    ]);
  });

  it('drops events of a slot and descriptor that were used before', async () => {
    const rig = current();
    const first = await rig.pair(15);
    rig.driver.receive(15);
    rig.kernel.send(first, Buffer.from('old'));
    await rig.environment.step();
    rig.driver.close(15, false);
    await rig.until(() => rig.recorder.count('closed 15') === 1, 'closed');
    const second = await rig.pair(15);
    rig.driver.receive(15);
    rig.kernel.send(second, Buffer.from('new'));
    await rig.until(() => rig.recorder.received$.get(15) !== undefined, 'new');
    assert.equal(rig.recorder.received$.get(15)?.toString(), 'new');
  });

  it('keeps a batch apart from a slot that another handler of the batch closed', async () => {
    const rig = current();
    const peers = [await rig.pair(16), await rig.pair(17)];
    rig.driver.receive(16);
    rig.driver.receive(17);
    rig.recorder.onReceived = (slot) => rig.driver.close(slot === 16 ? 17 : 16, false);
    for (const peer of peers) {
      rig.kernel.send(peer, Buffer.from('x'));
    }
    for (let i = 0; i < 20; i += 1) {
      await rig.environment.step();
    }
    await rig.until(() => rig.recorder.lines.some((line) => line.startsWith('closed')), 'closed');
    await rig.idle();
    const received = rig.recorder.lines.filter((line) => line.startsWith('received'));
    assert.equal(received.length, 1);
  });

  it('closes an accepted descriptor that nobody wants', async () => {
    const rig = current();
    const listener = rig.listenRaw();
    rig.driver.listen(18, listener.fd);
    rig.driver.accept(18);
    rig.recorder.onAccepted = (_slot, fd) => rig.driver.discard(fd);
    const peer = rig.connectRaw(listener.port);
    await rig.until(() => rig.recorder.count('accepted 18') === 1, 'accepted');
    assert.equal(await rig.readEnd(peer), 0);
  });

  it('reports woken when the wake descriptor is signalled', async () => {
    const rig = current();
    rig.kernel.signal(rig.driver.wakeDescriptor);
    rig.kernel.signal(rig.driver.wakeDescriptor);
    await rig.until(() => rig.recorder.count('woken') === 1, 'woken');
    await rig.idle();
    assert.equal(rig.recorder.count('woken'), 1);
  });

  it('finds nothing to do when nothing happens', async () => {
    const rig = current();
    const peers = [await rig.pair(20), await rig.pair(21)];
    rig.driver.receive(20);
    rig.driver.receive(21);
    rig.driver.stopReceive(21);
    rig.kernel.shutdown(peers[0], 1);
    await rig.until(() => rig.recorder.count('ended 20') === 1, 'the end');
    await rig.idle();
    assert.equal(rig.driver.poll(), 0);
    assert.equal(rig.driver.hasWork, false);
  });

  it('tells the addresses and options of a slot', async () => {
    const rig = current();
    const peer = await rig.pair(23);
    const mine = new Uint8Array(128);
    const theirs = new Uint8Array(128);
    assert.equal(rig.driver.localAddress(23, mine), 16);
    assert.equal(rig.kernel.getPeerName(peer, theirs), 16);
    assert.deepEqual(mine, theirs);
    assert.equal(rig.driver.setOption(23, 6, 1, new Uint8Array([1, 0, 0, 0])), 0);
    const value = new Uint8Array(4);
    assert.equal(rig.driver.getOption(23, 6, 1, value), 4);
    assert.ok(value[0] > 0);
  });
};
