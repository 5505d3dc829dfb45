/** Part of the driver contract: receiving. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { OPTIONS, type Rig } from './rig.js';

/** Registers the tests; `current` is the rig of the running one. */
export const receivingSuite = (current: () => Rig): void => {
  it('receives nothing before receive and everything after it', async () => {
    const rig = current();
    const peer = await rig.pair(2);
    rig.kernel.send(peer, Buffer.from('hello'));
    await rig.idle();
    assert.equal(rig.recorder.lines.length, 0);
    rig.driver.receive(2);
    await rig.until(() => rig.recorder.received$.get(2)?.toString() === 'hello', 'hello');
    rig.kernel.send(peer, Buffer.from(' again'));
    await rig.until(() => rig.recorder.received$.get(2)?.toString() === 'hello again', 'again');
  });

  it('holds bytes back while receiving is stopped', async () => {
    const rig = current();
    const peer = await rig.pair(2);
    rig.driver.receive(2);
    rig.recorder.onReceived = (slot) => rig.driver.stopReceive(slot);
    rig.kernel.send(peer, Buffer.from('one'));
    await rig.until(() => rig.recorder.count('received 2') === 1, 'one');
    rig.kernel.send(peer, Buffer.from('two'));
    await rig.idle();
    assert.equal(rig.recorder.received$.get(2)?.toString(), 'one');
    rig.driver.receive(2);
    await rig.until(() => rig.recorder.received$.get(2)?.toString() === 'onetwo', 'two');
  });

  it('receives from one slot no more than the budget in one batch', async () => {
    const rig = current();
    const peer = await rig.pair(2);
    const bytes = Buffer.alloc(48 * 1024, 7);
    let sent = 0;
    for (let i = 0; i < 500 && sent < bytes.byteLength; i += 1) {
      const n = rig.kernel.send(peer, bytes.subarray(sent));
      sent += Math.max(n, 0);
      await rig.environment.step();
    }
    rig.driver.receive(2);
    let before = 0;
    for (let i = 0; i < 2_000 && before < sent; i += 1) {
      rig.driver.poll();
      const { byteLength } = rig.recorder.received$.get(2) ?? Buffer.alloc(0);
      assert.ok(byteLength - before <= OPTIONS.receiveBudget + rig.driver.receiveAhead);
      before = byteLength;
      await rig.environment.step();
    }
    assert.equal(before, sent);
  });

  it('does not spin on a peer that hung up while nobody receives', async () => {
    const rig = current();
    const peer = await rig.pair(22);
    rig.driver.receive(22);
    await rig.idle();
    rig.driver.stopReceive(22);
    rig.driver.shutdown(22);
    await rig.idle();
    rig.closePeer(peer);
    await rig.idle();
    await rig.idle();
    assert.equal(rig.driver.poll(), 0);
    rig.driver.receive(22);
    await rig.until(() => rig.recorder.count('ended 22') === 1, 'the end');
  });
};
