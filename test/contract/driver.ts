/**
 * The contract that every driver keeps (src/connection/driver.ts), as a suite that runs on any driver and any kernel.
 * The other side is always a raw socket of the same kernel, which does what it likes.
 */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { EBADF, ECONNREFUSED, ECONNRESET, EMFILE, EPIPE } from '../../src/base/errno.js';
import type { Kernel, Region } from '../../src/base/kernel.js';
import {
  AF_INET,
  AF_UNIX,
  SO_LINGER,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../src/base/linux.js';
import {
  type Completions,
  type Driver,
  type DriverOptions,
  PENDING,
  type SendVector,
} from '../../src/connection/driver.js';

export interface DriverEnvironment {
  readonly kernel: Kernel;
  createDriver(completions: Completions, options: DriverOptions): Driver;
  /** Lets the world go on a little: packets arrive. */
  step(): Promise<void>;
  /** Makes the descriptor table full from here on; the answer frees it. Undefined where that is not possible. */
  fillDescriptors?(): () => void;
}

const OPTIONS: DriverOptions = {
  slots: 64,
  receiveBytes: 4096,
  receiveBudget: 16_384,
  acceptBudget: 4,
  batch: 32,
};

/** Records completions as lines, and plays the owner of the slots. */
class Recorder implements Completions {
  readonly lines: string[] = [];
  readonly received$ = new Map<number, Buffer>();
  readonly accepted$: number[] = [];
  readonly queues = new Map<number, Buffer[]>();
  onReceived: (slot: number, bytes: Buffer) => void = () => {};
  onAccepted: (slot: number, fd: number) => void = () => {};
  onEnded: (slot: number) => void = () => {};
  region: Region | undefined;

  accepted(slot: number, fd: number): void {
    this.lines.push(`accepted ${slot}`);
    this.accepted$.push(fd);
    this.onAccepted(slot, fd);
  }
  acceptFailed(slot: number, errno: number): void {
    this.lines.push(`acceptFailed ${slot} ${errno}`);
  }
  connected(slot: number, errno: number): void {
    this.lines.push(`connected ${slot} ${errno}`);
  }
  received(slot: number, bytes: Buffer): void {
    assert.ok(bytes.byteLength > 0);
    this.lines.push(`received ${slot}`);
    const before = this.received$.get(slot) ?? Buffer.alloc(0);
    this.received$.set(slot, Buffer.concat([before, bytes]));
    this.onReceived(slot, bytes);
  }
  receiveEnded(slot: number): void {
    this.lines.push(`ended ${slot}`);
    this.onEnded(slot);
  }
  sent(slot: number, byteLength: number): void {
    assert.ok(byteLength > 0);
    this.lines.push(`sent ${slot}`);
    this.consume(slot, byteLength);
  }
  failed(slot: number, errno: number): void {
    this.lines.push(`failed ${slot} ${errno}`);
  }
  closed(slot: number): void {
    this.lines.push(`closed ${slot}`);
  }
  woken(): void {
    this.lines.push('woken');
  }
  gather(slot: number, vector: SendVector): void {
    for (const piece of this.queues.get(slot) ?? []) {
      if (!vector.appendBytes(piece)) {
        return;
      }
    }
  }
  consume(slot: number, byteLength: number): void {
    const queue = this.queues.get(slot)!;
    let rest = byteLength;
    while (rest > 0) {
      const head = queue[0];
      if (head.byteLength <= rest) {
        rest -= head.byteLength;
        queue.shift();
      } else {
        queue[0] = head.subarray(rest);
        rest = 0;
      }
    }
  }
  count(line: string): number {
    return this.lines.filter((each) => each === line).length;
  }
}

function loopback(port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1]);
  return bytes;
}

/** Registers the suite. */
export function driverContract(name: string, makeEnvironment: () => DriverEnvironment): void {
  describe(`driver contract: ${name}`, () => {
    let environment: DriverEnvironment;
    let kernel: Kernel;
    let recorder: Recorder;
    let driver: Driver;
    let open: Set<number>;

    beforeEach(() => {
      environment = makeEnvironment();
      kernel = environment.kernel;
      recorder = new Recorder();
      driver = environment.createDriver(recorder, OPTIONS);
      open = new Set();
    });

    afterEach(() => {
      driver.destroy();
      for (const fd of open) {
        kernel.close(fd);
      }
    });

    async function until(condition: () => boolean, what: string): Promise<void> {
      for (let i = 0; i < 2_000; i += 1) {
        driver.poll();
        if (condition()) {
          return;
        }
        await environment.step();
      }
      assert.fail(`${what} did not happen; so far: ${recorder.lines.join(', ')}`);
    }

    async function idle(): Promise<void> {
      for (let i = 0; i < 20; i += 1) {
        driver.poll();
        await environment.step();
      }
    }

    function track(fd: number): number {
      assert.ok(fd >= 0, `expected a descriptor, got ${fd}`);
      open.add(fd);
      return fd;
    }

    function closePeer(fd: number): void {
      open.delete(fd);
      kernel.close(fd);
    }

    function resetPeer(fd: number): void {
      kernel.setSocketOption(fd, SOL_SOCKET, SO_LINGER, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
      closePeer(fd);
    }

    function listenRaw(backlog = 16): { fd: number; port: number } {
      const fd = kernel.socket(AF_INET, SOCK_STREAM, 0);
      assert.equal(kernel.bind(fd, loopback(0)), 0);
      assert.equal(kernel.listen(fd, backlog), 0);
      const address = new Uint8Array(16);
      kernel.getSocketName(fd, address);
      return { fd, port: (address[2] << 8) | address[3] };
    }

    function connectRaw(port: number): number {
      const fd = track(kernel.socket(AF_INET, SOCK_STREAM, 0));
      kernel.connect(fd, loopback(port));
      return fd;
    }

    /** A connection between the driver's slot and a raw peer. */
    async function pair(slot: number): Promise<number> {
      const listener = listenRaw();
      const peer = connectRaw(listener.port);
      let fd = -1;
      for (let i = 0; i < 2_000 && fd < 0; i += 1) {
        fd = kernel.accept(listener.fd);
        await environment.step();
      }
      kernel.close(listener.fd);
      assert.ok(fd >= 0);
      assert.equal(driver.open(slot, fd), 0);
      return peer;
    }

    async function readRaw(fd: number, byteLength: number): Promise<Buffer> {
      const region = kernel.allocate(65_536);
      const chunks: Buffer[] = [];
      let total = 0;
      for (let i = 0; i < 400_000 && total < byteLength; i += 1) {
        const n = kernel.receive(fd, region);
        if (n > 0) {
          chunks.push(Buffer.from(region.bytes.subarray(0, n)));
          total += n;
        } else if (n === 0) {
          break;
        } else {
          driver.poll();
          await environment.step();
        }
      }
      kernel.release(region);
      return Buffer.concat(chunks);
    }

    async function readEnd(fd: number): Promise<number> {
      const region = kernel.allocate(16);
      let n = -11;
      for (let i = 0; i < 2_000 && n === -11; i += 1) {
        n = kernel.receive(fd, region);
        driver.poll();
        await environment.step();
      }
      kernel.release(region);
      return n;
    }

    it('reports accepted connections until stopped', async () => {
      const listener = listenRaw();
      assert.equal(driver.listen(1, listener.fd), 0);
      driver.accept(1);
      for (let i = 0; i < 6; i += 1) {
        connectRaw(listener.port);
      }
      await until(() => recorder.count('accepted 1') === 6, 'six accepts');
      recorder.accepted$.forEach(track);
      driver.stopAccept(1);
      connectRaw(listener.port);
      await idle();
      assert.equal(recorder.count('accepted 1'), 6);
      driver.accept(1);
      await until(() => recorder.count('accepted 1') === 7, 'the seventh accept');
      track(recorder.accepted$[6]);
    });

    it('accepts no more than the budget in one batch', async () => {
      const listener = listenRaw();
      driver.listen(1, listener.fd);
      for (let i = 0; i < 9; i += 1) {
        connectRaw(listener.port);
      }
      for (let i = 0; i < 50; i += 1) {
        await environment.step();
      }
      driver.accept(1);
      let before = 0;
      for (let i = 0; i < 200 && before < 9; i += 1) {
        driver.poll();
        const n = recorder.count('accepted 1');
        assert.ok(n - before <= OPTIONS.acceptBudget);
        before = n;
        await environment.step();
      }
      assert.equal(before, 9);
      recorder.accepted$.forEach(track);
    });

    it('stops accepting when the listener is closed inside accepted', async () => {
      const listener = listenRaw();
      driver.listen(1, listener.fd);
      driver.accept(1);
      recorder.onAccepted = () => driver.close(1, false);
      connectRaw(listener.port);
      connectRaw(listener.port);
      await until(() => recorder.count('closed 1') === 1, 'closed');
      assert.equal(recorder.count('accepted 1'), 1);
      recorder.accepted$.forEach(track);
    });

    it('receives nothing before receive and everything after it', async () => {
      const peer = await pair(2);
      kernel.send(peer, Buffer.from('hello'));
      await idle();
      assert.equal(recorder.lines.length, 0);
      driver.receive(2);
      await until(() => recorder.received$.get(2)?.toString() === 'hello', 'hello');
      kernel.send(peer, Buffer.from(' again'));
      await until(() => recorder.received$.get(2)?.toString() === 'hello again', 'again');
    });

    it('holds bytes back while receiving is stopped', async () => {
      const peer = await pair(2);
      driver.receive(2);
      recorder.onReceived = (slot) => driver.stopReceive(slot);
      kernel.send(peer, Buffer.from('one'));
      await until(() => recorder.count('received 2') === 1, 'one');
      kernel.send(peer, Buffer.from('two'));
      await idle();
      assert.equal(recorder.received$.get(2)?.toString(), 'one');
      driver.receive(2);
      await until(() => recorder.received$.get(2)?.toString() === 'onetwo', 'two');
    });

    it('receives from one slot no more than the budget in one batch', async () => {
      const peer = await pair(2);
      const bytes = Buffer.alloc(48 * 1024, 7);
      let sent = 0;
      for (let i = 0; i < 500 && sent < bytes.byteLength; i += 1) {
        const n = kernel.send(peer, bytes.subarray(sent));
        sent += Math.max(n, 0);
        await environment.step();
      }
      driver.receive(2);
      let before = 0;
      for (let i = 0; i < 2_000 && before < sent; i += 1) {
        driver.poll();
        const { byteLength } = recorder.received$.get(2) ?? Buffer.alloc(0);
        assert.ok(byteLength - before <= OPTIONS.receiveBudget);
        before = byteLength;
        await environment.step();
      }
      assert.equal(before, sent);
    });

    it('reports the end once, after all bytes, and can still send', async () => {
      const peer = await pair(3);
      driver.receive(3);
      kernel.send(peer, Buffer.from('last'));
      kernel.shutdown(peer, 1);
      await until(() => recorder.count('ended 3') === 1, 'the end');
      assert.equal(recorder.received$.get(3)?.toString(), 'last');
      assert.equal(recorder.lines.at(-1), 'ended 3');
      await idle();
      assert.equal(recorder.count('ended 3'), 1);
      assert.equal(driver.trySend(3, Buffer.from('reply')) >= 0, true);
      recorder.queues.set(3, []);
      assert.equal((await readRaw(peer, 5)).toString(), 'reply');
    });

    it('sends queued bytes in order and completes each pending send once', async () => {
      const peer = await pair(4);
      driver.setOption(4, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
      const all = Buffer.alloc(600_000);
      for (let i = 0; i < all.byteLength; i += 1) {
        all[i] = (i * 31) & 255;
      }
      const pieces: Buffer[] = [];
      for (let at = 0; at < all.byteLength; at += 17_001) {
        pieces.push(all.subarray(at, at + 17_001));
      }
      recorder.queues.set(4, pieces);
      let isPending = false;
      let completions = 0;
      const go = () => {
        while (!isPending && pieces.length > 0) {
          const n = driver.send(4);
          if (n === PENDING) {
            isPending = true;
          } else {
            assert.ok(n > 0);
            recorder.consume(4, n);
          }
        }
      };
      const plainSent = recorder.sent.bind(recorder);
      recorder.sent = (slot, n) => {
        assert.equal(isPending, true);
        isPending = false;
        completions += 1;
        plainSent(slot, n);
        go();
      };
      go();
      assert.ok(isPending, 'that much does not fit the socket buffers');
      const got = await readRaw(peer, all.byteLength);
      assert.ok(completions > 0);
      assert.equal(got.byteLength, all.byteLength);
      assert.ok(got.equals(all));
    });

    it('sends FIN on shutdown and goes on receiving', async () => {
      const peer = await pair(5);
      driver.receive(5);
      assert.equal(driver.shutdown(5), 0);
      assert.equal(await readEnd(peer), 0);
      kernel.send(peer, Buffer.from('more'));
      await until(() => recorder.received$.get(5)?.toString() === 'more', 'more');
    });

    it('reports closed exactly once, never from inside close', async () => {
      const peer = await pair(6);
      driver.receive(6);
      driver.close(6, false);
      driver.close(6, false);
      assert.equal(recorder.count('closed 6'), 0);
      assert.equal(driver.hasWork, true);
      await until(() => recorder.count('closed 6') === 1, 'closed');
      kernel.send(peer, Buffer.from('late'));
      await idle();
      assert.deepEqual(recorder.lines, ['closed 6']);
    });

    it('reports nothing of a slot that is closed inside received', async () => {
      const peer = await pair(6);
      driver.receive(6);
      recorder.onReceived = (slot) => driver.close(slot, false);
      kernel.send(peer, Buffer.alloc(20_000));
      await until(() => recorder.count('closed 6') === 1, 'closed');
      await idle();
      assert.deepEqual(recorder.lines, ['received 6', 'closed 6']);
    });

    it('aborts with RST', async () => {
      const peer = await pair(7);
      driver.close(7, true);
      await until(() => recorder.count('closed 7') === 1, 'closed');
      assert.equal(await readEnd(peer), -ECONNRESET);
    });

    it('reports a reset by the peer, also while receiving is stopped', async () => {
      const first = await pair(8);
      const second = await pair(9);
      driver.receive(8);
      driver.receive(9);
      await idle();
      driver.stopReceive(9);
      resetPeer(first);
      resetPeer(second);
      await until(() => recorder.lines.length >= 2, 'two failures');
      await idle();
      assert.deepEqual([...recorder.lines].sort(), [
        `failed 8 ${ECONNRESET}`,
        `failed 9 ${ECONNRESET}`,
      ]);
    });

    it('reports a failed pending send once', async () => {
      const peer = await pair(10);
      driver.setOption(10, SOL_SOCKET, SO_SNDBUF, new Uint8Array([0, 64, 0, 0]));
      recorder.queues.set(10, [Buffer.alloc(4_000_000)]);
      for (;;) {
        const n = driver.send(10);
        if (n === PENDING) {
          break;
        }
        recorder.consume(10, n);
      }
      resetPeer(peer);
      await until(() => recorder.lines.some((line) => line.startsWith('failed 10')), 'the failure');
      await idle();
      assert.equal(recorder.lines.filter((line) => line.startsWith('failed')).length, 1);
    });

    it('answers with -errno when sending on a connection that is gone', async () => {
      const peer = await pair(11);
      resetPeer(peer);
      await environment.step();
      let n = 0;
      for (let i = 0; i < 100 && n >= 0; i += 1) {
        n = driver.trySend(11, Buffer.from('x'));
        await environment.step();
      }
      assert.ok(n === -EPIPE || n === -ECONNRESET, `got ${n}`);
    });

    it('connects, also when the answer is immediate', async () => {
      const listener = listenRaw();
      track(listener.fd);
      const fd = kernel.socket(AF_INET, SOCK_STREAM, 0);
      assert.equal(driver.connect(12, fd, loopback(listener.port)), 0);
      assert.equal(recorder.lines.length, 0);
      await until(() => recorder.count('connected 12 0') === 1, 'connected');
      let peer = -1;
      for (let i = 0; i < 2_000 && peer < 0; i += 1) {
        peer = kernel.accept(listener.fd);
        await environment.step();
      }
      track(peer);
      driver.receive(12);
      kernel.send(peer, Buffer.from('welcome'));
      await until(() => recorder.received$.get(12)?.toString() === 'welcome', 'welcome');
    });

    it('reports a refused connect once, and closes its slot when told', async () => {
      const listener = listenRaw();
      kernel.close(listener.fd);
      const fd = kernel.socket(AF_INET, SOCK_STREAM, 0);
      assert.equal(driver.connect(13, fd, loopback(listener.port)), 0);
      await until(() => recorder.count(`connected 13 ${ECONNREFUSED}`) === 1, 'refused');
      driver.close(13, false);
      await until(() => recorder.count('closed 13') === 1, 'closed');
      await idle();
      assert.equal(recorder.lines.length, 2);
    });

    it('never connects a slot that was closed before the outcome', async () => {
      const listener = listenRaw();
      track(listener.fd);
      const fd = kernel.socket(AF_INET, SOCK_STREAM, 0);
      driver.connect(14, fd, loopback(listener.port));
      driver.close(14, false);
      await until(() => recorder.count('closed 14') === 1, 'closed');
      await idle();
      assert.deepEqual(recorder.lines, ['closed 14']);
    });

    it('drops events of a slot and descriptor that were used before', async () => {
      const first = await pair(15);
      driver.receive(15);
      kernel.send(first, Buffer.from('old'));
      await environment.step();
      driver.close(15, false);
      await until(() => recorder.count('closed 15') === 1, 'closed');
      const second = await pair(15);
      driver.receive(15);
      kernel.send(second, Buffer.from('new'));
      await until(() => recorder.received$.get(15) !== undefined, 'new');
      assert.equal(recorder.received$.get(15)?.toString(), 'new');
    });

    it('keeps a batch apart from a slot that another handler of the batch closed', async () => {
      const peers = [await pair(16), await pair(17)];
      driver.receive(16);
      driver.receive(17);
      recorder.onReceived = (slot) => driver.close(slot === 16 ? 17 : 16, false);
      for (const peer of peers) {
        kernel.send(peer, Buffer.from('x'));
      }
      for (let i = 0; i < 20; i += 1) {
        await environment.step();
      }
      await until(() => recorder.lines.some((line) => line.startsWith('closed')), 'closed');
      await idle();
      const received = recorder.lines.filter((line) => line.startsWith('received'));
      assert.equal(received.length, 1);
    });

    it('gives a descriptor back with detach', async () => {
      const peer = await pair(18);
      driver.receive(18);
      await idle();
      const fd = track(driver.detach(18));
      kernel.send(peer, Buffer.from('theirs'));
      await idle();
      assert.deepEqual(recorder.lines, []);
      const region = kernel.allocate(16);
      assert.equal(kernel.receive(fd, region), 6);
      kernel.release(region);
      assert.equal(driver.detach(18), -EBADF);
    });

    it('reports woken when the wake descriptor is signalled', async () => {
      kernel.signal(driver.wakeDescriptor);
      kernel.signal(driver.wakeDescriptor);
      await until(() => recorder.count('woken') === 1, 'woken');
      await idle();
      assert.equal(recorder.count('woken'), 1);
    });

    it('finds nothing to do when nothing happens', async () => {
      const peers = [await pair(20), await pair(21)];
      driver.receive(20);
      driver.receive(21);
      driver.stopReceive(21);
      kernel.shutdown(peers[0], 1);
      await until(() => recorder.count('ended 20') === 1, 'the end');
      await idle();
      assert.equal(driver.poll(), 0);
      assert.equal(driver.hasWork, false);
    });

    it('does not spin on a peer that hung up while nobody receives', async () => {
      const peer = await pair(22);
      driver.receive(22);
      await idle();
      driver.stopReceive(22);
      driver.shutdown(22);
      await idle();
      closePeer(peer);
      await idle();
      await idle();
      assert.equal(driver.poll(), 0);
      driver.receive(22);
      await until(() => recorder.count('ended 22') === 1, 'the end');
    });

    it('tells the addresses and options of a slot', async () => {
      const peer = await pair(23);
      const mine = new Uint8Array(128);
      const theirs = new Uint8Array(128);
      assert.equal(driver.localAddress(23, mine), 16);
      assert.equal(kernel.getPeerName(peer, theirs), 16);
      assert.deepEqual(mine, theirs);
      assert.equal(driver.setOption(23, 6, 1, new Uint8Array([1, 0, 0, 0])), 0);
      const value = new Uint8Array(4);
      assert.equal(driver.getOption(23, 6, 1, value), 4);
      assert.ok(value[0] > 0);
    });

    it('connects Unix sockets', async () => {
      const name = new Uint8Array([
        AF_UNIX,
        0,
        0,
        ...Buffer.from(`millrace-contract-${process.pid}`),
      ]);
      const listening = track(kernel.socket(AF_UNIX, SOCK_STREAM, 0));
      assert.equal(kernel.bind(listening, name), 0);
      assert.equal(kernel.listen(listening, 4), 0);
      const fd = kernel.socket(AF_UNIX, SOCK_STREAM, 0);
      assert.equal(driver.connect(24, fd, name), 0);
      await until(() => recorder.count('connected 24 0') === 1, 'connected');
      const peer = track(kernel.accept(listening));
      driver.receive(24);
      kernel.send(peer, Buffer.from('hello'));
      closePeer(peer);
      await until(() => recorder.count('ended 24') === 1, 'the end');
      assert.equal(recorder.received$.get(24)?.toString(), 'hello');
    });

    it('reports a full descriptor table and goes on when told', async (t) => {
      if (environment.fillDescriptors === undefined) {
        t.diagnostic('this environment cannot fill its table: covered by the simulated kernel');
        return;
      }
      const listener = listenRaw();
      driver.listen(25, listener.fd);
      driver.accept(25);
      connectRaw(listener.port);
      const release = environment.fillDescriptors();
      await until(() => recorder.count(`acceptFailed 25 ${EMFILE}`) === 1, 'acceptFailed');
      await idle();
      assert.equal(recorder.count(`acceptFailed 25 ${EMFILE}`), 1);
      release();
      driver.accept(25);
      await until(() => recorder.count('accepted 25') === 1, 'accepted');
      recorder.accepted$.forEach(track);
    });
  });
}
