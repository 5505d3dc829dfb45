/** The simulated io_uring: what programs may not do is found, and faults are what Linux could do. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EAGAIN, ECANCELED, EEXIST, ENOBUFS } from '../../src/base/errno.js';
import { EPOLLIN } from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import type { FaultRates } from './faults.js';
import { format, RingRig } from './ring-rig.js';
import type { WorldShape } from './shape.js';
import { connectPeer } from './connect-peer.js';
import type { SimKernel } from './sim-kernel.js';
import type { SimPeer } from './sim-peer.js';
import { SimViolation } from './sim-violation.js';
import { SimWorld } from './sim-world.js';

const ADDRESS = 'tcp://127.0.0.1:80';
const RECEIVE_MANY = {
  opcode: uring.OP_RECV,
  flags: uring.SQE_BUFFER_SELECT,
  ioprio: uring.RECV_MULTISHOT,
  userLow: 1,
};

interface Scene {
  readonly world: SimWorld;
  readonly kernel: SimKernel;
  readonly ring: RingRig;
  readonly fd: number;
  readonly peer: SimPeer;
}

/** A ring and a connection; the given faults start only now. */
function scene(rates: Partial<FaultRates> = {}, shape: Partial<WorldShape> = {}): Scene {
  const world = new SimWorld({ seed: 3, shape: { base: 'plain', ...shape } });
  const kernel = world.kernel('a');
  const { fd, peer } = connectPeer(world, kernel, ADDRESS);
  const ring = new RingRig(kernel, 16, 32);
  Object.assign(world.faults.rates, rates);
  return { world, kernel, ring, fd, peer };
}

function deliver({ world, peer }: Scene, text: string): void {
  peer.send(text);
  world.runSync({ until: () => false });
}

function results(ring: RingRig): string {
  return ring
    .take()
    .map((one) => format(one))
    .join(', ');
}

describe('memory that the kernel may still use', () => {
  test('the target of a pending receive cannot be released', () => {
    const { kernel, ring, fd, world } = scene();
    const memory = kernel.allocate(64);
    ring.add({ opcode: uring.OP_RECV, fd, address: memory.address + 8, length: 8, userLow: 1 });
    ring.enter();
    assert.throws(() => kernel.release(memory), /the kernel has the memory of a receive in it/);
    ring.add({ opcode: uring.OP_ASYNC_CANCEL, address: 1, userLow: 2 });
    ring.enter();
    kernel.release(memory);
    assert.equal(world.violations.take().length, 1);
  });

  test('the source of a pending send cannot be released', () => {
    const { kernel, ring, fd } = scene({}, { sendBuffer: 8, receiveBuffer: 8 });
    const memory = kernel.allocate(1000);
    kernel.sendAt(fd, memory.address, 1000);
    ring.add({ opcode: uring.OP_SEND, fd, address: memory.address, length: 1000 });
    ring.enter();
    assert.throws(() => kernel.release(memory), SimViolation);
  });

  test('a provided buffer and its ring cannot be released before they are taken away', () => {
    const { kernel, ring } = scene();
    const buffers = ring.group(0, 4, 64);
    buffers.give(2);
    assert.throws(() => kernel.release(buffers.memory), /buffer 2/);
    const bytes = Buffer.alloc(uring.BUF_REG_SIZE);
    kernel.ringRegister(ring.ring.fd, uring.UNREGISTER_PBUF_RING, bytes, 1);
    kernel.release(buffers.memory);
  });

  test('a consumed buffer can be released', () => {
    const one = scene();
    const { kernel, ring, fd } = one;
    const buffers = ring.group(0, 4, 4);
    buffers.give(0);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    deliver(one, 'four');
    ring.enter();
    assert.equal(results(ring), '1 4 buffer 0 more');
    kernel.release(buffers.memory);
  });

  test('what is in a buffer when it is given back is lost', () => {
    const one = scene();
    const { ring, fd } = one;
    const buffers = ring.group(0, 4, 4);
    buffers.give(0);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    deliver(one, 'four');
    ring.enter();
    assert.equal(buffers.text(0, 4), 'four');
    buffers.give(0);
    ring.enter();
    assert.notEqual(buffers.text(0, 4), 'four');
  });

  test('a buffer that is provided twice is found', () => {
    const { ring } = scene();
    const buffers = ring.group(0, 4, 64);
    buffers.give(1, 2, 1);
    assert.throws(() => ring.enter(), /buffer 1 is provided again/);
  });

  test('more buffers than the ring has places are found', () => {
    const { ring } = scene();
    const buffers = ring.group(0, 2, 64);
    buffers.give(0, 1);
    ring.enter();
    buffers.give(0);
    assert.throws(() => ring.enter(), /more buffers are provided than the ring of 2 holds/);
  });

  test('a buffer outside of live memory is found', () => {
    const { kernel, ring } = scene();
    const buffers = ring.group(0, 2, 64);
    kernel.release(buffers.memory);
    buffers.give(0);
    assert.throws(() => ring.enter(), /no live allocation/);
  });
});

describe('rings', () => {
  test('a tail that passes the head by more than the queue holds is found', () => {
    const { ring } = scene();
    const { rings, sqTail, sqEntries } = ring.ring;
    rings.bytes.writeUInt32LE(sqEntries + 1, sqTail);
    assert.throws(() => ring.enter(0, 1), /has a tail 17 ahead of its head/);
  });

  test('a head that passes the tail of the completions is found', () => {
    const { ring } = scene();
    const { rings, cqHead } = ring.ring;
    rings.bytes.writeUInt32LE(1, cqHead);
    ring.add({ opcode: uring.OP_POLL_REMOVE, address: 5 });
    assert.throws(() => ring.enter(), /head of the completion queue has passed its tail/);
  });

  test('closing with requests under way is found, and their files are let go', () => {
    const { world, kernel, ring, fd, peer } = scene();
    ring.add({ opcode: uring.OP_POLL_ADD, fd, opFlags: EPOLLIN });
    ring.enter();
    kernel.close(fd);
    world.runSync({ until: () => false });
    assert.equal(peer.hasEnded, false);
    kernel.ringClose(ring.ring);
    assert.match(world.violations.take().join(), /closed with requests under way: operation 6/);
    world.runSync({ until: () => peer.hasEnded });
    assert.equal(peer.hasEnded, true);
  });

  test('a ring that is not closed is a leak', () => {
    const { world, kernel } = scene();
    kernel.close(3);
    kernel.close(4);
    assert.throws(() => world.finish(), /2 mappings/);
    assert.throws(() => world.finish(), /uring/);
  });

  test('another thread may not enter', () => {
    const { world, ring } = scene();
    assert.equal(world.kernel('b').ringEnter(ring.ring.fd, 0, 1), -EEXIST);
  });

  test('heads and tails run through all 32 bits', () => {
    const { ring } = scene({}, { ringStart: 2 ** 32 - 5 });
    for (let i = 0; i < 40; i++) {
      ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: i });
      assert.equal(ring.enter(), 1);
      assert.equal(results(ring), `${i} -2`);
    }
    ring.close();
  });

  test('a small completion queue overflows in order', () => {
    const { ring } = scene({}, { ringCompletions: 4 });
    assert.equal(ring.ring.cqEntries, 4);
    for (let i = 0; i < 10; i++)
      ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: i });
    ring.enter(0);
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(...ring.take().map((one) => one.user));
      ring.enter();
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('what became ready is reported in portions', () => {
    const { kernel, ring } = scene({}, { ringWork: 2 });
    const eventfds = Array.from({ length: 5 }, () => kernel.eventfd());
    for (const fd of eventfds) ring.add({ opcode: uring.OP_POLL_ADD, fd, opFlags: EPOLLIN });
    ring.enter();
    for (const fd of eventfds) kernel.signal(fd);
    const counts: number[] = [];
    for (let i = 0; i < 3; i++) {
      ring.enter();
      counts.push(ring.take().length);
    }
    assert.deepEqual(counts, [2, 2, 1]);
  });
});

describe('faults', () => {
  test('an enter that is interrupted or has no memory does nothing', () => {
    const { world, ring } = scene({ ringInterrupted: 1 });
    ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: 1 });
    assert.equal(ring.enter(), 0);
    world.faults.stop();
    world.faults.rates.ringAgain = 1;
    assert.equal(ring.enter(), -EAGAIN);
    world.faults.stop();
    assert.equal(ring.take().length, 0);
    assert.equal(ring.enter(), 1);
    assert.equal(results(ring), '1 -2');
  });

  test('an enter takes a part of the submissions', () => {
    const { ring } = scene({ ringPartial: 1 });
    for (let i = 0; i < 8; i++) ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: i });
    const n = ring.enter();
    assert.ok(n > 0 && n < 8);
    assert.equal(ring.take().length, n);
  });

  test('what could be done at once is done later', () => {
    const { world, ring, fd } = scene({ ringLate: 1 });
    const memory = ring.memory(8);
    ring.add({ opcode: uring.OP_SEND, fd, address: memory.address, length: 8, userLow: 1 });
    ring.enter(0);
    assert.equal(results(ring), '');
    assert.equal(ring.sqFlags, 'work');
    ring.enter();
    assert.equal(results(ring), '1 8');
    world.faults.stop();
    ring.close();
  });

  test('a multishot request ends without notice', () => {
    const one = scene({ ringShotEnded: 1 });
    const { ring, fd } = one;
    const buffers = ring.group(0, 4, 64);
    buffers.give(0, 1);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    deliver(one, 'x');
    ring.enter();
    assert.equal(results(ring), '1 1 buffer 0');
    deliver(one, 'y');
    ring.enter();
    assert.equal(results(ring), '');
  });

  test('what is ready comes before the end that a cancellation makes', () => {
    const one = scene({ ringCancelLate: 1 });
    const { ring, fd } = one;
    ring.group(0, 4, 64).give(0, 1);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    deliver(one, 'x');
    ring.add({ opcode: uring.OP_ASYNC_CANCEL, address: 1, userLow: 2 });
    ring.enter();
    assert.equal(results(ring), `2 0, 1 1 buffer 0 more, 1 -${ECANCELED}`);
  });

  test('completions of different requests come in any order', () => {
    const { kernel, ring } = scene({ ringShuffled: 1 });
    const eventfds = Array.from({ length: 10 }, () => kernel.eventfd());
    for (const [i, fd] of eventfds.entries()) {
      ring.add({ opcode: uring.OP_POLL_ADD, fd, opFlags: EPOLLIN, userLow: i });
    }
    ring.enter();
    for (const fd of eventfds) kernel.signal(fd);
    ring.enter();
    const order = ring.take().map((one) => one.user);
    assert.notDeepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(new Set(order).size, 10);
  });

  test('the faults of the plain calls hold for requests', () => {
    const one = scene({ sendNoMemory: 1, receiveReset: 1 });
    const { ring, fd, world, peer } = one;
    const memory = ring.memory(8);
    ring.add({ opcode: uring.OP_SEND, fd, address: memory.address, length: 8, userLow: 1 });
    ring.enter();
    assert.ok([-ENOBUFS, -12].includes(ring.take()[0]!.result));
    ring.group(0, 4, 64).give(0);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    assert.equal(results(ring), '1 -104');
    world.faults.stop();
    world.runSync({ until: () => peer.isOver });
    assert.equal(peer.error, 104);
  });

  test('an EAGAIN that lies loses no wake-up', () => {
    const one = scene({ receiveAgain: 0.9 });
    const { ring, fd } = one;
    ring.group(0, 4, 64).give(0);
    ring.add({ ...RECEIVE_MANY, fd });
    ring.enter();
    deliver(one, 'x');
    let found = '';
    for (let i = 0; i < 200 && found === ''; i++) {
      ring.enter();
      found = results(ring);
    }
    assert.equal(found, '1 1 buffer 0 more');
  });

  test('what a thread has under way ends with it, though its ring stays open', () => {
    const { world, kernel, ring, fd, peer } = scene();
    ring.add({ opcode: uring.OP_POLL_ADD, opFlags: EPOLLIN, fd, userLow: 1 });
    ring.enter();
    kernel.kill();
    assert.equal(world.table.peek(fd)?.references, 1, 'the request holds the socket no more');
    peer.send('x');
    world.runSync({ until: () => false });
    assert.equal(results(ring), '');
  });
});
