/** The real kernel's refusals are -errno in every method, and signals in the midst of calls change nothing. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { DescriptorRegistry } from '../../src/base/descriptors.js';
import * as errno from '../../src/base/errno.js';
import { EPOLL_EVENT_SIZE } from '../../src/base/layout.js';
import * as linux from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';

const OWNER = 7;
const registry = DescriptorRegistry.create(1_024);
const kernel = new LinuxKernel({ registry, owner: OWNER });
/** A number that no descriptor has. */
const CLOSED = 1_000_000;
const LOOPBACK = new Uint8Array([linux.AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

afterEach(() => {
  for (const fd of registry.ownedBy(OWNER)) {
    kernel.close(fd);
  }
});

const tcp = () => kernel.socket(linux.AF_INET, linux.SOCK_STREAM, 0);

describe('a descriptor that is none', () => {
  it('is EBADF in every call', () => {
    const region = kernel.allocate(64);
    const { address } = region;
    const value = new Uint8Array(4);
    const calls: Record<string, () => number> = {
      bind: () => kernel.bind(CLOSED, LOOPBACK),
      listen: () => kernel.listen(CLOSED, 1),
      accept: () => kernel.accept(CLOSED),
      connect: () => kernel.connect(CLOSED, LOOPBACK),
      receive: () => kernel.receive(CLOSED, region),
      send: () => kernel.send(CLOSED, value),
      sendAt: () => kernel.sendAt(CLOSED, address, 1),
      sendVector: () => kernel.sendVector(CLOSED, region, 1),
      shutdown: () => kernel.shutdown(CLOSED, linux.SHUT_WR),
      close: () => kernel.close(CLOSED),
      setSocketOption: () =>
        kernel.setSocketOption(CLOSED, linux.SOL_SOCKET, linux.SO_SNDBUF, value),
      getSocketOption: () => kernel.getSocketOption(CLOSED, linux.SOL_SOCKET, linux.SO_TYPE, value),
      getSocketName: () => kernel.getSocketName(CLOSED, value),
      getPeerName: () => kernel.getPeerName(CLOSED, value),
      adopt: () => kernel.adopt(CLOSED),
      duplicate: () => kernel.duplicate(CLOSED),
      epollControl: () => kernel.epollControl(CLOSED, linux.EPOLL_CTL_ADD, 0, 0, 0, 0),
      epollWait: () => kernel.epollWait(CLOSED, region),
      signal: () => kernel.signal(CLOSED),
      drain: () => kernel.drain(CLOSED),
    };
    for (const [name, call] of Object.entries(calls)) {
      assert.equal(call(), -errno.EBADF, name);
    }
    kernel.release(region);
    assert.equal(registry.count(), 0);
  });
});

describe('what cannot be', () => {
  it('is refused with the system’s own error', () => {
    const fd = tcp();
    const region = kernel.allocate(64);
    assert.equal(kernel.socket(12_345, linux.SOCK_STREAM, 0), -errno.EAFNOSUPPORT);
    assert.equal(kernel.socket(linux.AF_INET, linux.SOCK_STREAM, 17), -errno.EPROTONOSUPPORT);
    assert.equal(kernel.bind(fd, LOOPBACK.subarray(0, 8)), -errno.EINVAL);
    assert.equal(kernel.connect(fd, new Uint8Array(0)), -errno.EINVAL);
    assert.equal(kernel.accept(fd), -errno.EINVAL);
    assert.equal(kernel.getPeerName(fd, new Uint8Array(16)), -errno.ENOTCONN);
    assert.equal(kernel.receive(fd, region), -errno.ENOTCONN);
    assert.equal(kernel.shutdown(fd, linux.SHUT_WR), -errno.ENOTCONN);
    assert.equal(kernel.setSocketOption(fd, linux.SOL_SOCKET, 9_999, LOOPBACK), -errno.ENOPROTOOPT);
    assert.equal(
      kernel.setSocketOption(fd, linux.SOL_SOCKET, linux.SO_SNDBUF, LOOPBACK.subarray(0, 1)),
      -errno.EINVAL,
    );
    assert.equal(
      kernel.getSocketOption(fd, linux.SOL_SOCKET, 9_999, new Uint8Array(4)),
      -errno.ENOPROTOOPT,
    );
    assert.equal(kernel.signal(fd), -errno.EPIPE);
    assert.equal(kernel.bind(kernel.eventfd(), LOOPBACK), -errno.ENOTSOCK);
    const epfd = kernel.epollCreate();
    assert.equal(kernel.epollControl(epfd, linux.EPOLL_CTL_MOD, fd, 1, 0, 0), -errno.ENOENT);
    assert.equal(kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, epfd, 1, 0, 0), -errno.EINVAL);
    assert.equal(kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, fd, 1, 0, 0), 0);
    assert.equal(kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, fd, 1, 0, 0), -errno.EEXIST);
    assert.equal(
      kernel.epollWait(epfd, { address: region.address, bytes: Buffer.alloc(0) }),
      -errno.EINVAL,
    );
    kernel.release(region);
  });

  it('does not end the process: a send to a peer that is gone is EPIPE', () => {
    const listener = tcp();
    kernel.bind(listener, LOOPBACK);
    kernel.listen(listener, 1);
    const name = new Uint8Array(16);
    kernel.getSocketName(listener, name);
    const fd = tcp();
    assert.equal(kernel.connect(fd, name), -errno.EINPROGRESS);
    kernel.shutdown(fd, linux.SHUT_WR);
    const region = kernel.allocate(16);
    region.bytes.writeBigUInt64LE(BigInt(region.address));
    region.bytes.writeBigUInt64LE(1n, 8);
    assert.equal(kernel.send(fd, name), -errno.EPIPE);
    assert.equal(kernel.sendAt(fd, region.address, 1), -errno.EPIPE);
    assert.equal(kernel.sendVector(fd, region, 1), -errno.EPIPE);
    kernel.release(region);
  });
});

/** Makes everything that has a descriptor, first with some to spare, then with none; prints both answers. */
const FULL_TABLE = `
  import { DescriptorRegistry, LinuxKernel } from ARGUMENT;
  const registry = DescriptorRegistry.create(64);
  const kernel = new LinuxKernel({ registry, owner: 1 });
  const listener = kernel.socket(2, 1, 0);
  kernel.listen(listener, 1);
  const filler = new LinuxKernel();
  const taken = [];
  for (let fd = filler.eventfd(); fd >= 0; fd = filler.eventfd()) taken.push(fd);
  const answers = [
    kernel.socket(2, 1, 0),
    kernel.accept(listener),
    kernel.duplicate(listener),
    kernel.reserve(),
    kernel.epollCreate(),
    kernel.eventfd(),
  ];
  for (const fd of taken) filler.close(fd);
  console.log(JSON.stringify({ answers, owned: registry.ownedBy(1).length, limit: kernel.descriptorLimit() }));
`;

describe('a full descriptor table', () => {
  it('is EMFILE in every call that makes one, and nothing is noted as ours', () => {
    const exports = ['descriptors', 'linux-kernel'].map((name) => {
      const url = new URL(`../../src/base/${name}.js`, import.meta.url).href;
      return `export * from ${JSON.stringify(url)};`;
    });
    const source = JSON.stringify(`data:text/javascript,${exports.join('')}`);
    const output = execFileSync(
      'sh',
      [
        '-c',
        'ulimit -n 64; exec "$0" --input-type=module -e "$1"',
        process.execPath,
        FULL_TABLE.replace('ARGUMENT', source),
      ],
      { encoding: 'utf8' },
    );
    const answers = new Array(6).fill(-errno.EMFILE);
    assert.deepEqual(JSON.parse(output), { answers, owned: 1, limit: 64 });
  });
});

/** Sends the process one signal after the other from a thread of its own, which takes none. */
async function underSignals(work: () => void): Promise<number> {
  let count = 0;
  const onSignal = () => {
    count += 1;
  };
  process.on('SIGWINCH', onSignal);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const code = `const { workerData, parentPort } = require('node:worker_threads');
    parentPort.postMessage('started');
    // One each millisecond, as a profiler's: without a pause the main thread would do little else than take them.
    while (Atomics.wait(workerData, 0, 0, 1) === 'timed-out') process.kill(${process.pid}, 'SIGWINCH');`;
  const worker = new Worker(code, { eval: true, workerData: stop });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve) => worker.once('message', resolve));
  try {
    work();
  } finally {
    Atomics.store(stop, 0, 1);
    Atomics.notify(stop, 0);
    await exited;
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off('SIGWINCH', onSignal);
  }
  return count;
}

/** Calls again while the answer is EAGAIN: a packet may still be on its way when the call that sent it returns. */
function soon(call: () => number): number {
  const deadline = kernel.now() + 10_000;
  let n = call();
  while (n === -errno.EAGAIN && kernel.now() < deadline) {
    n = call();
  }
  assert.ok(n >= 0, `errno ${-n}`);
  return n;
}

describe('signals in the midst of calls', () => {
  it('never surface as EINTR, and no byte, connection or event is lost', async () => {
    const epfd = kernel.epollCreate();
    const events = kernel.allocate(EPOLL_EVENT_SIZE * 8);
    const region = kernel.allocate(65_536);
    const signals = await underSignals(() => {
      for (let i = 0; i < 300; i += 1) {
        const listener = soon(tcp);
        assert.equal(kernel.bind(listener, LOOPBACK), 0);
        assert.equal(kernel.listen(listener, 4), 0);
        const name = new Uint8Array(16);
        assert.equal(kernel.getSocketName(listener, name), 16);
        const fd = soon(tcp);
        assert.equal(kernel.connect(fd, name), -errno.EINPROGRESS);
        const peer = soon(() => kernel.accept(listener));
        assert.equal(
          kernel.epollControl(epfd, linux.EPOLL_CTL_ADD, peer, linux.EPOLLIN, peer, 0),
          0,
        );
        for (let j = 0; j < 20; j += 1) {
          assert.equal(kernel.sendAt(fd, region.address, 1_000), 1_000);
          assert.equal(kernel.send(fd, region.bytes.subarray(0, 1_000)), 1_000);
          assert.ok(kernel.epollWait(epfd, events) >= 0);
          for (let received = 0; received < 2_000; ) {
            received += soon(() => kernel.receive(peer, region));
          }
        }
        for (const each of [fd, peer, listener]) {
          assert.equal(kernel.close(each), 0);
        }
      }
    });
    kernel.release(events);
    kernel.release(region);
    assert.ok(signals > 10, `${signals} signals`);
    assert.equal(registry.count(), 1);
  });
});
