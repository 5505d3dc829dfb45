/**
 * The simulated network beyond what sim-vs-linux.test.ts compares with Linux: time, segments, lost connections, peers.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  EADDRNOTAVAIL,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  ENOTCONN,
  EPIPE,
  ETIMEDOUT,
} from '../../src/base/errno.js';
import { AF_INET, AF_INET6, AF_UNIX, SO_ERROR, SOL_SOCKET } from '../../src/base/linux.js';
import { formatInternet, parseInternet, parseUrl } from './sim-address.js';
import type { SimKernel } from './sim-kernel.js';
import { SimWorld, type SimWorldOptions } from './sim-world.js';

/** A world with one kernel, a listening descriptor and shorthands over them. */
class Bench {
  readonly world: SimWorld;
  readonly kernel: SimKernel;

  constructor(shape: SimWorldOptions['shape'] = 'plain', seed = 3) {
    this.world = new SimWorld({ seed, shape });
    this.kernel = this.world.kernel('a');
  }

  listen(url = 'tcp://127.0.0.1:80', backlog = 8): number {
    const { domain, sockaddr } = parseUrl(url);
    const fd = this.kernel.socket(domain, 1, 0);
    assert.equal(this.kernel.bind(fd, sockaddr), 0);
    assert.equal(this.kernel.listen(fd, backlog), 0);
    return fd;
  }

  connect(url: string): number {
    const { domain, sockaddr } = parseUrl(url);
    const fd = this.kernel.socket(domain, 1, 0);
    assert.equal(this.kernel.connect(fd, sockaddr), -EINPROGRESS);
    return fd;
  }

  accept(listener: number): number {
    let fd = -1;
    const hasAccepted = (): boolean => {
      fd = this.kernel.accept(listener);
      return fd >= 0;
    };
    assert.ok(this.world.runSync({ until: hasAccepted }));
    return fd;
  }

  receive(fd: number, max = 100): string | number {
    const region = this.kernel.allocate(max);
    const n = this.kernel.receive(fd, region);
    const result = n < 0 ? n : region.bytes.toString('latin1', 0, n);
    this.kernel.release(region);
    return result;
  }

  error(fd: number): number {
    const value = Buffer.alloc(4);
    assert.equal(this.kernel.getSocketOption(fd, SOL_SOCKET, SO_ERROR, value), 4);
    return value.readInt32LE();
  }

  idle(): void {
    assert.equal(this.world.runSync({ until: () => false }), false);
  }
}

describe('simulated network', () => {
  test('segments take their time, in pieces and in order', () => {
    const shape = { base: 'plain', latencyMaxMs: 20, segmentMax: 7 } as const;
    const bench = new Bench(shape);
    const listener = bench.listen();
    const peer = bench.world.peer();
    peer.connect('tcp://127.0.0.1:80');
    peer.send('0123456789'.repeat(20));
    peer.end();
    const fd = bench.accept(listener);
    const start = bench.world.now;
    let text = '';
    let pieces = 0;
    bench.world.runSync({
      until: () => {
        const piece = bench.receive(fd);
        if (piece === '') return true;
        if (typeof piece === 'string') {
          text += piece;
          pieces++;
        }
        return false;
      },
    });
    assert.equal(text, '0123456789'.repeat(20));
    assert.ok(pieces >= 200 / 7);
    assert.ok(bench.world.now > start + 20);
  });

  test('what the receiver has no room for waits at the sender', () => {
    const bench = new Bench({ base: 'plain', sendBuffer: 100, receiveBuffer: 10 });
    const listener = bench.listen();
    const peer = bench.world.peer({ isReadingStopped: true });
    peer.connect('tcp://127.0.0.1:80');
    const fd = bench.accept(listener);
    assert.equal(bench.kernel.send(fd, Buffer.alloc(200)), 100);
    bench.idle();
    assert.equal(bench.kernel.send(fd, Buffer.alloc(200)), 10);
    bench.idle();
    assert.equal(bench.kernel.send(fd, Buffer.alloc(200)), -EAGAIN);
    peer.startReading();
    bench.idle();
    assert.equal(peer.bytesReceived, 110);
  });

  test('a full backlog holds connections back until there is room', () => {
    const bench = new Bench();
    const listener = bench.listen('tcp://127.0.0.1:80', 0);
    const first = bench.world.peer();
    const second = bench.world.peer();
    first.connect('tcp://127.0.0.1:80');
    bench.world.settle();
    second.connect('tcp://127.0.0.1:80');
    bench.world.settle();
    bench.world.runSync({ until: () => first.isConnected });
    assert.equal(second.isConnected, false);
    bench.accept(listener);
    const before = bench.world.now;
    assert.ok(bench.world.runSync({ until: () => second.isConnected }));
    assert.ok(bench.world.now - before >= 400, 'a SYN is repeated after a second');
  });

  test('a SYN that nobody answers times out', () => {
    const bench = new Bench();
    bench.world.network.blackholes.add('10.1.1.1');
    const fd = bench.connect('tcp://10.1.1.1:80');
    const start = bench.world.now;
    bench.idle();
    assert.equal(bench.error(fd), ETIMEDOUT);
    assert.equal(bench.world.now - start, 127_000);
  });

  test('a refusal comes later', () => {
    const bench = new Bench({ base: 'plain', latencyMaxMs: 10 });
    const fd = bench.connect('tcp://127.0.0.1:81');
    assert.equal(bench.error(fd), 0);
    bench.idle();
    assert.equal(bench.error(fd), ECONNREFUSED);
  });

  test('the process is confined to its own addresses and peers are not', () => {
    const bench = new Bench();
    const fd = bench.kernel.socket(AF_INET, 1, 0);
    const { sockaddr } = parseUrl('tcp://10.0.0.5:80');
    assert.equal(bench.kernel.bind(fd, sockaddr), -EADDRNOTAVAIL);
    const listener = bench.world.listener('tcp://10.0.0.5:80');
    const dialed = bench.connect(listener.address);
    assert.ok(bench.world.runSync({ until: () => listener.peers.length === 1 }));
    listener.peers[0]?.send('hi');
    bench.idle();
    assert.equal(bench.receive(dialed), 'hi');
  });

  test('a peer resets: data first, then the error, then EPIPE', () => {
    const bench = new Bench();
    const listener = bench.listen();
    const peer = bench.world.peer();
    peer.connect('tcp://127.0.0.1:80');
    peer.send('last');
    const fd = bench.accept(listener);
    bench.world.runSync({ until: () => peer.bytesSent === 4 });
    peer.reset();
    bench.idle();
    assert.equal(peer.isOver, true);
    assert.equal(bench.receive(fd), 'last');
    assert.equal(bench.receive(fd), -ECONNRESET);
    assert.equal(bench.kernel.send(fd, Buffer.from('x')), -EPIPE);
    assert.equal(bench.kernel.getPeerName(fd, Buffer.alloc(16)), -ENOTCONN);
  });

  test('a reset overtakes what the shape says is lost', () => {
    const bench = new Bench({ base: 'plain', dataBeforeReset: 0, latencyMaxMs: 1 });
    const listener = bench.listen();
    const peer = bench.world.peer();
    peer.connect('tcp://127.0.0.1:80');
    const fd = bench.accept(listener);
    peer.send('lost');
    bench.world.runSync({ until: () => peer.bytesSent === 4 });
    peer.reset();
    bench.idle();
    assert.equal(bench.receive(fd), -ECONNRESET);
  });

  test('a peer echoes, records and ends after the other end', () => {
    const bench = new Bench('random');
    const listener = bench.world.listener('tcp://127.0.0.1:0', { isEchoing: true, readMax: 3 });
    const peer = bench.world.peer({ writeMax: 1 });
    peer.connect(listener.address);
    peer.send('byte by byte');
    peer.end();
    assert.ok(bench.world.runSync({ until: () => peer.isOver }));
    assert.equal(peer.received().toString(), 'byte by byte');
    assert.equal(peer.hasEnded, true);
    assert.equal(peer.wasReset, false);
  });

  test('a peer that dials where nobody listens is told so', () => {
    const bench = new Bench();
    const tcp = bench.world.peer();
    tcp.connect('tcp://127.0.0.1:9');
    const unix = bench.world.peer();
    unix.connect('unix:///tmp/none');
    bench.idle();
    assert.equal(tcp.error, ECONNREFUSED);
    assert.equal(tcp.isOver, true);
    assert.ok(unix.error > 0);
  });

  test('a rude peer resets in the middle', () => {
    let resets = 0;
    for (let seed = 0; seed < 20; seed++) {
      const bench = new Bench('random', seed);
      const listener = bench.listen();
      const peer = bench.world.peer({ resetChance: 0.2, writeMax: 5 });
      peer.connect('tcp://127.0.0.1:80');
      peer.send('x'.repeat(200));
      bench.accept(listener);
      bench.idle();
      if (peer.isOver && peer.unsentBytes > 0) resets++;
    }
    assert.ok(resets > 10);
  });

  test('addresses survive the way to bytes and back', () => {
    for (const url of ['tcp://127.0.0.1:80', 'tcp://[::1]:65535', 'tcp://[::]:0']) {
      const { domain, sockaddr } = parseUrl(url);
      const address = parseInternet(domain, sockaddr);
      assert.ok(typeof address !== 'number');
      assert.equal(formatInternet(address), url);
    }
    const long = parseUrl('tcp://[2001:db8::8:800:200c:417a]:443');
    assert.equal(long.domain, AF_INET6);
    assert.deepEqual([...long.sockaddr.subarray(8, 12)], [0x20, 0x01, 0x0d, 0xb8]);
    assert.equal(parseUrl('unix:///tmp/x').domain, AF_UNIX);
  });
});
