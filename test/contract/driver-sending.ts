/** Part of the driver contract: sending. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { SO_SNDBUF, SOL_SOCKET } from '../../src/base/linux.js';
import { PENDING } from '../../src/connection/driver.js';
import type { Rig } from './rig.js';

/** More than the pieces of memory that the io_uring driver copies small writes to. */
const CROWD = 560;

/** Registers the tests; `current` is the rig of the running one. */
export const sendingSuite = (current: () => Rig): void => {
  it('reports the end once, after all bytes, and can still send', async () => {
    const rig = current();
    const peer = await rig.pair(3);
    rig.driver.receive(3);
    rig.kernel.send(peer, Buffer.from('last'));
    rig.kernel.shutdown(peer, 1);
    await rig.until(() => rig.recorder.count('ended 3') === 1, 'the end');
    assert.equal(rig.recorder.received$.get(3)?.toString(), 'last');
    assert.equal(rig.recorder.lines.at(-1), 'ended 3');
    await rig.idle();
    assert.equal(rig.recorder.count('ended 3'), 1);
    rig.recorder.queues.set(3, [Buffer.alloc(5)]);
    const n = rig.driver.trySend(3, Buffer.from('reply'));
    assert.ok(n === 5 || n === PENDING, `got ${n}`);
    assert.equal((await rig.readRaw(peer, 5)).toString(), 'reply');
  });

  it('sends queued bytes in order and completes each pending send once', async () => {
    const rig = current();
    const peer = await rig.pair(4);
    rig.driver.setOption(4, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
    const all = Buffer.alloc(600_000);
    for (let i = 0; i < all.byteLength; i += 1) {
      all[i] = (i * 31) & 255;
    }
    const pieces: Buffer[] = [];
    for (let at = 0; at < all.byteLength; at += 17_001) {
      pieces.push(all.subarray(at, at + 17_001));
    }
    rig.recorder.queues.set(4, pieces);
    let isPending = false;
    let completions = 0;
    const go = () => {
      while (!isPending && pieces.length > 0) {
        const n = rig.driver.send(4);
        if (n === PENDING) {
          isPending = true;
        } else {
          assert.ok(n > 0);
          rig.recorder.consume(4, n);
        }
      }
    };
    const plainSent = rig.recorder.sent.bind(rig.recorder);
    rig.recorder.sent = (slot, n) => {
      assert.equal(isPending, true);
      isPending = false;
      completions += 1;
      plainSent(slot, n);
      go();
    };
    go();
    assert.ok(isPending, 'that much does not fit the socket buffers');
    const got = await rig.readRaw(peer, all.byteLength);
    assert.ok(completions > 0);
    assert.equal(got.byteLength, all.byteLength);
    assert.ok(got.equals(all));
  });

  it('sends to more connections at once than it has memory for copies', async () => {
    const rig = current();
    const peers: number[] = [];
    for (let slot = 0; slot < CROWD; slot += 1) {
      peers.push(await rig.pair(slot));
    }
    let left = 0;
    rig.recorder.sent = (_slot, n) => {
      left -= n;
    };
    for (let round = 0; round < 3; round += 1) {
      const message = (slot: number) => Buffer.alloc(100 + slot, `${round}.${slot} `);
      for (let slot = 0; slot < CROWD; slot += 1) {
        const bytes = message(slot);
        const n = rig.driver.trySend(slot, bytes);
        assert.ok(n === PENDING || n === bytes.byteLength, `got ${n}`);
        left += n === PENDING ? bytes.byteLength : 0;
        // It was taken: the memory is the caller's again.
        bytes.fill('!');
      }
      for (const [slot, peer] of peers.entries()) {
        const expected = message(slot);
        const got = await rig.readRaw(peer, expected.byteLength);
        assert.ok(got.equals(expected), `connection ${slot} got ${got.toString('latin1', 0, 20)}`);
      }
      await rig.until(() => left === 0, 'all is reported as sent');
    }
  });

  it('sends FIN on shutdown and goes on receiving', async () => {
    const rig = current();
    const peer = await rig.pair(5);
    rig.driver.receive(5);
    assert.equal(rig.driver.shutdown(5), 0);
    assert.equal(await rig.readEnd(peer), 0);
    rig.kernel.send(peer, Buffer.from('more'));
    await rig.until(() => rig.recorder.received$.get(5)?.toString() === 'more', 'more');
  });

  it('reports a failed pending send once', async () => {
    const rig = current();
    const peer = await rig.pair(10);
    rig.driver.setOption(10, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
    rig.recorder.queues.set(10, [Buffer.alloc(4_000_000)]);
    for (;;) {
      const n = rig.driver.send(10);
      if (n === PENDING) {
        break;
      }
      rig.recorder.consume(10, n);
    }
    rig.resetPeer(peer);
    await rig.until(
      () => rig.recorder.lines.some((line) => line.startsWith('failed 10')),
      'the failure',
    );
    await rig.idle();
    assert.equal(rig.recorder.lines.filter((line) => line.startsWith('failed')).length, 1);
  });
};
