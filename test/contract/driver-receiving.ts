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

  it('is not kept awake by what comes after receiving was stopped', async () => {
    const rig = current();
    const peer = await rig.pair(2);
    rig.driver.receive(2);
    await rig.idle();
    rig.driver.stopReceive(2);
    await rig.idle();
    rig.kernel.send(peer, Buffer.from('late'));
    await rig.idle();
    await rig.idle();
    assert.equal(rig.driver.poll(), 0);
    rig.driver.receive(2);
    await rig.until(() => rig.recorder.received$.get(2)?.toString() === 'late', 'what was late');
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
      assert.ok(byteLength - before < OPTIONS.receiveBudget + OPTIONS.receiveBytes);
      before = byteLength;
      await rig.environment.step();
    }
    assert.equal(before, sent);
  });

  it('receives small pieces within the budget, too, and all that many peers sent', async () => {
    const rig = current();
    const slots = Array.from({ length: 40 }, (_, i) => i + 2);
    const peers: number[] = [];
    const text = Buffer.alloc(8192, 'a piece of 16 B ');
    for (const slot of slots) {
      peers.push(await rig.pair(slot));
      rig.driver.receive(slot);
    }
    const sent = peers.map(() => 0);
    for (let at = 0; at < text.byteLength; at += 256) {
      for (const [i, peer] of peers.entries()) {
        const n = rig.kernel.send(peer, text.subarray(sent[i]!, sent[i]! + 256));
        sent[i]! += Math.max(n, 0);
      }
      if (at % 2048 === 0) await rig.environment.step();
    }
    const sum = (): number =>
      slots.reduce((total, slot) => total + (rig.recorder.received$.get(slot)?.byteLength ?? 0), 0);
    const expected = sent.reduce((total, n) => total + n, 0);
    assert.ok(expected >= 40 * 4096, 'more than the buffers hold at first');
    for (let i = 0; i < 5_000 && sum() < expected; i += 1) {
      const before = slots.map((slot) => rig.recorder.received$.get(slot)?.byteLength ?? 0);
      rig.driver.poll();
      for (const [j, slot] of slots.entries()) {
        const n = (rig.recorder.received$.get(slot)?.byteLength ?? 0) - before[j]!;
        assert.ok(n < OPTIONS.receiveBudget + OPTIONS.receiveBytes, `${n} bytes of slot ${slot}`);
      }
      await rig.environment.step();
    }
    for (const [i, slot] of slots.entries()) {
      const received = rig.recorder.received$.get(slot);
      assert.ok(received?.equals(text.subarray(0, sent[i]!)), `all of slot ${slot}`);
    }
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
