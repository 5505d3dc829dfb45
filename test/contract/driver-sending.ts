/** Part of the driver contract: sending. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ENODATA } from '../../src/base/errno.js';
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

  const bytesOf = (byteLength: number, seed: number): Buffer => {
    const bytes = Buffer.alloc(byteLength);
    for (let i = 0; i < byteLength; i += 1) {
      bytes[i] = (i * 31 + (i >> 9) + seed) & 255;
    }
    return bytes;
  };

  /** Sends until all is with the kernel; true if the driver had to wait. */
  const sendAll = (rig: Rig, slot: number): { waited: boolean } => {
    const outcome = { waited: false };
    let isPending = false;
    const go = () => {
      while (!isPending && rig.recorder.queues.get(slot)!.length > 0) {
        const n = rig.driver.send(slot);
        if (n === PENDING) {
          isPending = true;
          outcome.waited = true;
        } else {
          assert.ok(n > 0, `got ${n}`);
          rig.recorder.consume(slot, n);
        }
      }
    };
    const plainSent = rig.recorder.sent.bind(rig.recorder);
    rig.recorder.sent = (which, n) => {
      isPending = false;
      plainSent(which, n);
      go();
    };
    go();
    return outcome;
  };

  it('sends parts of files in order with bytes, as the peer takes them', async () => {
    const rig = current();
    const peer = await rig.pair(6);
    rig.driver.setOption(6, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
    const content = bytesOf(700_000, 7);
    const file = rig.environment.openFile(content);
    rig.recorder.queues.set(6, [
      Buffer.from('head'),
      { fd: file.fd, offset: 100, byteLength: 650_000 },
      Buffer.from('between'),
      { fd: file.fd, offset: 0, byteLength: 1 },
      { fd: file.fd, offset: 699_990, byteLength: 10 },
      Buffer.from('end'),
    ]);
    const expected = Buffer.concat([
      Buffer.from('head'),
      content.subarray(100, 650_100),
      Buffer.from('between'),
      content.subarray(0, 1),
      content.subarray(699_990),
      Buffer.from('end'),
    ]);
    const outcome = sendAll(rig, 6);
    const got = await rig.readRaw(peer, expected.byteLength);
    assert.ok(outcome.waited, 'that much does not fit the socket buffers');
    assert.ok(got.equals(expected));
    await rig.until(() => rig.recorder.queues.get(6)!.length === 0, 'the last completion');
    rig.kernel.close(file.fd);
  });

  it('a file that ends too early is ENODATA, at once or when it is found', async () => {
    const rig = current();
    const peer = await rig.pair(7);
    const file = rig.environment.openFile(bytesOf(50_000, 1));
    rig.recorder.queues.set(7, [{ fd: file.fd, offset: 50_000, byteLength: 10 }]);
    assert.equal(rig.driver.send(7), -ENODATA);

    const other = await rig.pair(8);
    rig.driver.setOption(8, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
    const long = rig.environment.openFile(bytesOf(6_000_000, 1));
    rig.recorder.queues.set(8, [{ fd: long.fd, offset: 0, byteLength: 6_000_000 }]);
    for (;;) {
      const n = rig.driver.send(8);
      if (n === PENDING) {
        break;
      }
      rig.recorder.consume(8, n);
    }
    long.truncate(10);
    let answer = PENDING;
    const plainSent = rig.recorder.sent.bind(rig.recorder);
    rig.recorder.sent = (slot, n) => {
      plainSent(slot, n);
      answer = rig.driver.send(slot);
    };
    const region = rig.kernel.allocate(65_536);
    await rig.until(() => {
      rig.kernel.receive(other, region);
      return answer === -ENODATA || rig.recorder.count(`failed 8 ${ENODATA}`) === 1;
    }, 'the failure');
    rig.kernel.release(region);
    rig.kernel.close(file.fd);
    rig.kernel.close(long.fd);
    rig.closePeer(peer);
  });

  it('reports nothing of a file after the close of its slot', async () => {
    const rig = current();
    await rig.pair(9);
    rig.driver.setOption(9, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
    const file = rig.environment.openFile(bytesOf(6_000_000, 1));
    rig.recorder.queues.set(9, [{ fd: file.fd, offset: 0, byteLength: 6_000_000 }]);
    for (let n = rig.driver.send(9); n !== PENDING; n = rig.driver.send(9)) {
      rig.recorder.consume(9, n);
    }
    rig.driver.close(9, true);
    await rig.until(() => rig.recorder.count('closed 9') === 1, 'the close');
    rig.kernel.close(file.fd);
    assert.equal(rig.recorder.lines.filter((line) => line.startsWith('failed')).length, 0);
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
