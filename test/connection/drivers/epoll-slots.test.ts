/** The epoll driver's slots: a registration for what a slot does, and no call for what is so already. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { ENOMEM } from '../../../src/base/errno.js';
import type { Kernel } from '../../../src/base/kernel.js';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
} from '../../../src/base/linux.js';
import {
  ACCEPTING,
  CLOSING,
  CONNECTING,
  ENDED,
  EpollSlots,
  FAILED,
  FREE,
  LISTENER,
  RECEIVING,
  SENDING,
  STREAM,
} from '../../../src/connection/drivers/epoll-slots.js';

const EPFD = 99;
const FD = 40;

/** Plays epoll: what is registered, by descriptor; impossible calls throw. */
class FakeEpoll {
  readonly registered = new Map<number, { mask: number; slot: number; generation: number }>();
  readonly closed: number[] = [];
  calls = 0;
  answer = 0;

  epollControl(
    epfd: number,
    operation: number,
    fd: number,
    mask: number,
    slot: number,
    generation: number,
  ): number {
    assert.equal(epfd, EPFD);
    this.calls += 1;
    if (this.answer < 0) {
      return this.answer;
    }
    assert.equal(this.registered.has(fd), operation !== EPOLL_CTL_ADD);
    if (operation === EPOLL_CTL_DEL) {
      this.registered.delete(fd);
    } else {
      assert.ok(operation === EPOLL_CTL_ADD || operation === EPOLL_CTL_MOD);
      this.registered.set(fd, { mask, slot, generation });
    }
    return 0;
  }

  close(fd: number): number {
    this.closed.push(fd);
    return 0;
  }
}

function createSlots() {
  const epoll = new FakeEpoll();
  const counters = { calls: 0, acceptErrors: 0, staleEvents: 0 };
  const slots = new EpollSlots(epoll as unknown as Kernel, EPFD, 8, counters);
  return { epoll, counters, slots };
}

describe('sync()', () => {
  it('registers, changes and keeps exactly what the flags ask for', () => {
    const flag = fc.constantFrom(RECEIVING, SENDING, ENDED);
    const step = fc.record({ flag, isOn: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const { epoll, counters, slots } = createSlots();
        slots.begin(3, FD, STREAM);
        for (const each of steps) {
          const before = epoll.registered.get(FD)?.mask;
          const { calls } = epoll;
          slots.flags[3] = each.isOn ? slots.flags[3] | each.flag : slots.flags[3] & ~each.flag;
          assert.equal(slots.sync(3), 0);
          const flags = slots.flags[3];
          const isReading = (flags & RECEIVING) !== 0 && (flags & ENDED) === 0;
          const mask = (isReading ? EPOLLIN : 0) | ((flags & SENDING) !== 0 ? EPOLLOUT : 0);
          assert.equal(epoll.registered.get(FD)?.mask ?? 0, mask);
          assert.equal(epoll.calls - calls, mask === (before ?? 0) ? 0 : 1);
        }
        assert.equal(counters.calls, epoll.calls);
      }),
      { numRuns: 100 },
    );
  });

  it('of a connecting slot waits for writability, of a listener for connections', () => {
    const { epoll, slots } = createSlots();
    slots.begin(1, FD, CONNECTING);
    slots.sync(1);
    slots.begin(2, FD + 1, LISTENER);
    slots.sync(2);
    assert.deepEqual(
      [epoll.registered.get(FD)?.mask, epoll.registered.has(FD + 1)],
      [EPOLLOUT, false],
    );
    slots.flags[2] |= ACCEPTING;
    slots.sync(2);
    slots.kinds[1] = STREAM;
    slots.sync(1);
    assert.deepEqual(
      [epoll.registered.get(FD)?.mask, epoll.registered.get(FD + 1)?.mask],
      [0, EPOLLIN],
    );
    slots.stop(2, LISTENER, ACCEPTING);
    slots.stop(1, LISTENER, RECEIVING);
    assert.equal(epoll.registered.get(FD + 1)?.mask, 0);
  });

  it('stays while receiving stops and goes on, until something arrives', () => {
    const { epoll, slots } = createSlots();
    slots.begin(1, FD, STREAM);
    slots.flags[1] |= RECEIVING;
    slots.sync(1);
    assert.equal(epoll.calls, 1);
    for (let i = 0; i < 3; i += 1) {
      slots.stopReceiving(1);
      assert.equal(slots.flags[1] & RECEIVING, 0);
      slots.flags[1] |= RECEIVING;
      slots.sync(1);
    }
    assert.deepEqual([epoll.calls, epoll.registered.get(FD)?.mask], [1, EPOLLIN]);
    slots.stopReceiving(1);
    slots.sync(1);
    assert.equal(epoll.registered.get(FD)?.mask, 0);
    // One that never received is registered now, for its errors.
    slots.begin(2, FD + 1, STREAM);
    slots.stopReceiving(2);
    assert.equal(epoll.registered.get(FD + 1)?.mask, 0);
  });

  it('that fails can be tried again, and a failed slot is left alone', () => {
    const { epoll, slots } = createSlots();
    slots.begin(1, FD, STREAM);
    slots.flags[1] |= RECEIVING;
    epoll.answer = -ENOMEM;
    assert.equal(slots.sync(1), -ENOMEM);
    epoll.answer = 0;
    assert.equal(slots.sync(1), 0);
    assert.equal(epoll.registered.get(FD)?.mask, EPOLLIN);
    slots.flags[1] |= FAILED | SENDING;
    assert.equal(slots.sync(1), 0);
    assert.equal(epoll.registered.get(FD)?.mask, EPOLLIN);
  });
});

describe('a slot', () => {
  it('is used by one descriptor at a time, each use with a generation of its own', () => {
    const { epoll, slots } = createSlots();
    slots.begin(1, FD, STREAM);
    assert.throws(() => slots.begin(1, FD + 1, STREAM), /in use/);
    slots.flags[1] |= RECEIVING;
    slots.sync(1);
    const first = epoll.registered.get(FD)!.generation;
    assert.equal(slots.end(1, CLOSING), FD);
    assert.deepEqual([epoll.registered.size, slots.fds[1], slots.isOpen(1)], [0, -1, false]);
    assert.throws(() => slots.begin(1, FD, STREAM), /in use/);
    slots.kinds[1] = FREE;
    slots.begin(1, FD, STREAM);
    assert.equal(slots.flags[1], 0);
    slots.flags[1] |= RECEIVING;
    slots.sync(1);
    assert.notEqual(epoll.registered.get(FD)!.generation, first);
    assert.equal(slots.generations[1], epoll.registered.get(FD)!.generation);
  });

  it('that was never registered is not taken out of epoll', () => {
    const { epoll, slots } = createSlots();
    slots.begin(1, FD, STREAM);
    slots.unregister(1);
    slots.end(1, FREE);
    assert.equal(epoll.calls, 0);
  });

  it('is closed with all others, once', () => {
    const { epoll, slots } = createSlots();
    slots.begin(0, FD, STREAM);
    slots.begin(5, FD + 1, LISTENER);
    slots.begin(6, FD + 2, STREAM);
    slots.end(6, CLOSING);
    slots.closeAll();
    slots.closeAll();
    assert.deepEqual(epoll.closed, [FD, FD + 1]);
  });
});
