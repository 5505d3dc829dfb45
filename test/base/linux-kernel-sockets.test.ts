/** The real kernel's sockets, epoll and eventfd: what they answer, and that they touch no byte outside of a view. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'node:test';

import { DescriptorRegistry } from '../../src/base/descriptors.js';
import { EAGAIN, EINPROGRESS } from '../../src/base/errno.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../../src/base/layout.js';
import * as linux from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';

const OWNER = 7;
const registry = DescriptorRegistry.create(1_024);
const kernel = new LinuxKernel({ registry, owner: OWNER });
const LOOPBACK = new Uint8Array([linux.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
const FLAG_CLOEXEC = 0o2000000;
const FLAG_NONBLOCK = 0o4000;

afterEach(() => {
  for (const fd of registry.ownedBy(OWNER)) {
    kernel.close(fd);
  }
});

function descriptorFlags(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return Number.parseInt(text.match(/^flags:\s+(\d+)$/m)![1], 8);
}

function listening(): { fd: number; sockaddr: Uint8Array } {
  const fd = kernel.socket(linux.AF_INET, linux.SOCK_STREAM, 0);
  assert.equal(kernel.bind(fd, LOOPBACK), 0);
  assert.equal(kernel.listen(fd, 16), 0);
  const sockaddr = new Uint8Array(16);
  assert.equal(kernel.getSocketName(fd, sockaddr), 16);
  return { fd, sockaddr };
}

/** A connected pair of TCP sockets: ours and the accepted one. */
function pair(): [number, number] {
  const listener = listening();
  const fd = kernel.socket(linux.AF_INET, linux.SOCK_STREAM, 0);
  assert.equal(kernel.connect(fd, listener.sockaddr), -EINPROGRESS);
  const peer = kernel.accept(listener.fd);
  assert.ok(peer >= 0);
  kernel.close(listener.fd);
  return [fd, peer];
}

/** What is there to receive, as text. */
function receiveAll(fd: number): string {
  const region = kernel.allocate(4_096);
  let text = '';
  for (let n = kernel.receive(fd, region); n > 0; n = kernel.receive(fd, region)) {
    text += region.bytes.toString('latin1', 0, n);
  }
  kernel.release(region);
  return text;
}

describe('every descriptor', () => {
  it('is close-on-exec, non-blocking where that means something, and ours until it is closed', () => {
    const [socket, accepted] = pair();
    const foreign = new LinuxKernel().socket(linux.AF_UNIX, linux.SOCK_STREAM, 0);
    assert.equal(registry.ownerOf(foreign), 0);
    assert.equal(kernel.adopt(foreign), 0);
    const duplicate = kernel.duplicate(socket);
    const made = { socket, accepted, foreign, duplicate, eventfd: kernel.eventfd() };
    for (const [name, fd] of Object.entries({ ...made, reserve: kernel.reserve() })) {
      assert.equal(
        descriptorFlags(fd) & (FLAG_CLOEXEC | FLAG_NONBLOCK),
        FLAG_CLOEXEC | FLAG_NONBLOCK,
        name,
      );
      assert.equal(registry.ownerOf(fd), OWNER, name);
      assert.equal(kernel.close(fd), 0, name);
      assert.equal(registry.ownerOf(fd), 0, name);
    }
    const epoll = kernel.epollCreate();
    assert.equal(descriptorFlags(epoll) & FLAG_CLOEXEC, FLAG_CLOEXEC);
    assert.equal(registry.ownerOf(epoll), OWNER);
  });

  it('that is adopted keeps its other flags', () => {
    const fd = kernel.eventfd();
    const before = descriptorFlags(fd);
    assert.equal(kernel.adopt(fd), 0);
    assert.equal(descriptorFlags(fd), before);
  });
});

describe('a connected pair', () => {
  it('sends what a view has, and nothing around it', () => {
    const [a, b] = pair();
    const region = kernel.allocate(64);
    region.bytes.write('region');
    const vector = kernel.allocate(32);
    vector.bytes.writeBigUInt64LE(BigInt(region.address), 0);
    vector.bytes.writeBigUInt64LE(3n, 8);
    vector.bytes.writeBigUInt64LE(BigInt(region.address + 4), 16);
    vector.bytes.writeBigUInt64LE(2n, 24);
    assert.equal(kernel.send(a, Buffer.from('--view--').subarray(2, 6)), 4);
    assert.equal(kernel.send(a, new Uint8Array(Buffer.from('[array]')).subarray(1, 6)), 5);
    assert.equal(kernel.send(a, Buffer.alloc(0)), 0);
    assert.equal(kernel.sendAt(a, region.address, 6), 6);
    assert.equal(kernel.sendAt(a, region.address, 0), 0);
    assert.equal(kernel.sendVector(a, vector, 2), 5);
    assert.equal(kernel.sendVector(a, vector, 1), 3);
    assert.throws(() => kernel.sendVector(a, vector, 3), RangeError);
    assert.equal(receiveAll(b), 'viewarrayregionregonreg');
    kernel.release(region);
    kernel.release(vector);
  });

  it('sends from memory that is shared between threads', () => {
    const [a, b] = pair();
    const shared = new Uint8Array(new SharedArrayBuffer(16));
    shared.set(Buffer.from('shared'), 4);
    assert.equal(kernel.send(a, shared.subarray(4, 10)), 6);
    assert.equal(receiveAll(b), 'shared');
  });

  it('receives as much as the region has room for, and not a byte beyond', () => {
    const [a, b] = pair();
    const { address, bytes } = kernel.allocate(64);
    bytes.fill('*');
    kernel.send(a, Buffer.from('0123456789'));
    const middle = { address: address + 8, bytes: bytes.subarray(8, 12) };
    assert.equal(kernel.receive(b, middle), 4);
    assert.equal(bytes.toString('latin1', 0, 20), '********0123********');
    assert.equal(kernel.receive(b, { address, bytes }), 6);
    assert.equal(kernel.receive(b, { address, bytes }), -EAGAIN);
    assert.equal(kernel.shutdown(a, linux.SHUT_WR), 0);
    assert.equal(kernel.receive(b, { address, bytes }), 0);
    kernel.release({ address, bytes });
  });

  it('tells addresses and options, cut to the view', () => {
    const [a, b] = pair();
    for (const byteLength of [0, 1, 8, 16, 128]) {
      const whole = Buffer.alloc(200, '*');
      const view = whole.subarray(10, 10 + byteLength);
      const n = Math.min(byteLength, 16);
      assert.equal(kernel.getPeerName(a, view), n);
      assert.equal(whole.filter((byte) => byte === 0x2a).byteLength >= 200 - n, true);
      assert.deepEqual([...whole.subarray(0, 10)], new Array(10).fill(0x2a));
      assert.deepEqual([...whole.subarray(10 + n)], new Array(190 - n).fill(0x2a));
      const name = new Uint8Array(byteLength);
      assert.equal(kernel.getSocketName(b, name), n);
      assert.ok(view.subarray(0, n).equals(name.subarray(0, n)));
    }
    const options = Buffer.alloc(12, '*');
    const type = options.subarray(4, 8);
    assert.equal(kernel.getSocketOption(a, linux.SOL_SOCKET, linux.SO_TYPE, type), 4);
    assert.equal(options.toString('latin1'), '****\x01\0\0\0****');
    const info = new Uint8Array(4_096);
    const n = kernel.getSocketOption(a, linux.IPPROTO_TCP, linux.TCP_INFO, info);
    assert.ok(n > 100 && n < 1_024, String(n));
    assert.ok(info.subarray(n).every((byte) => byte === 0));
  });

  it('sets options of the length that the view has', () => {
    const [a] = pair();
    const whole = new Uint8Array([9, 1, 0, 0, 0, 9]);
    assert.equal(
      kernel.setSocketOption(a, linux.IPPROTO_TCP, linux.TCP_NODELAY, whole.subarray(1, 5)),
      0,
    );
    const value = new Uint8Array(4);
    assert.equal(kernel.getSocketOption(a, linux.IPPROTO_TCP, linux.TCP_NODELAY, value), 4);
    assert.deepEqual([...value], [1, 0, 0, 0]);
  });
});

describe('epoll', () => {
  it('gives back both words of a registration, as they were', () => {
    const epfd = kernel.epollCreate();
    const events = kernel.allocate(EPOLL_EVENT_SIZE * 4);
    const words: [number, number][] = [
      [0, 0],
      [-1, 5],
      [0x7fff_ffff, -0x8000_0000],
    ];
    for (const [low, high] of words) {
      const fd = kernel.eventfd();
      kernel.signal(fd);
      assert.equal(kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, fd, linux.EPOLLIN, low, high), 0);
    }
    assert.equal(kernel.epollWait(epfd, events), 3);
    const { bytes } = events;
    const seen = [0, 1, 2].map((i) => {
      const at = i * EPOLL_EVENT_SIZE;
      assert.equal(bytes.readUInt32LE(at), linux.EPOLLIN);
      return [
        bytes.readInt32LE(at + EPOLL_EVENT_DATA),
        bytes.readInt32LE(at + EPOLL_EVENT_DATA + 4),
      ];
    });
    assert.deepEqual(seen, words);
    kernel.release(events);
  });

  it('reports as many events as the region has room for, the others next time', () => {
    const epfd = kernel.epollCreate();
    const { address, bytes } = kernel.allocate(256);
    for (let i = 0; i < 3; i += 1) {
      const fd = kernel.eventfd();
      kernel.signal(fd);
      kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, fd, linux.EPOLLIN, i, 0);
    }
    bytes.fill(0x2a);
    const room = { address, bytes: bytes.subarray(0, EPOLL_EVENT_SIZE * 2 + 3) };
    const first = kernel.epollWait(epfd, room);
    assert.equal(first, 2);
    assert.ok(bytes.subarray(EPOLL_EVENT_SIZE * 2).every((byte) => byte === 0x2a));
    const second = bytes.readInt32LE(EPOLL_EVENT_DATA);
    assert.equal(kernel.epollWait(epfd, room), 2);
    assert.notEqual(bytes.readInt32LE(EPOLL_EVENT_DATA), second);
    kernel.release({ address, bytes });
  });

  it('never waits', () => {
    const epfd = kernel.epollCreate();
    const events = kernel.allocate(EPOLL_EVENT_SIZE);
    const start = kernel.now();
    for (let i = 0; i < 100; i += 1) {
      assert.equal(kernel.epollWait(epfd, events), 0);
    }
    assert.ok(kernel.now() - start < 1_000);
    kernel.release(events);
  });
});

describe('an eventfd', () => {
  it('counts signals, and is empty after one drain', () => {
    const fd = kernel.eventfd();
    assert.equal(kernel.drain(fd), -EAGAIN);
    assert.deepEqual([kernel.signal(fd), kernel.signal(fd)], [8, 8]);
    assert.deepEqual([kernel.drain(fd), kernel.drain(fd)], [8, -EAGAIN]);
  });
});
