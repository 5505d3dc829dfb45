/** Sequences of calls on an io_uring for the differential test: the ring itself, cancelling and closing. */

import { AF_INET, EPOLLIN } from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import type { Rig, Script } from './differential-rig.js';
import { COOPERATIVE, type Completion, format, type RingRig } from './ring-rig.js';
import {
  cancelOf,
  collect,
  quiet,
  RECEIVE_MANY,
  withRing,
  noteAtOnce,
  noteTaken,
} from './ring-script.js';

function setup(rig: Rig): void {
  const create = (sq: number, cq: number, flags: number): number => {
    const ring = rig.kernel.ringCreate(sq, cq, flags);
    if (typeof ring === 'number') return ring;
    const { sqEntries, cqEntries } = ring;
    rig.kernel.ringClose(ring);
    return sqEntries * 100_000 + cqEntries;
  };
  rig.note('lengths are powers of two', create(3, 5, 0));
  rig.note('no submissions', create(0, 5, 0));
  rig.note('no completions', create(4, 0, 0));
  rig.note('too many', create(40_000, 40_000, 0));
  rig.note('too few completions', create(8, 4, 0));
  const { SETUP_DEFER_TASKRUN, SETUP_SINGLE_ISSUER, SETUP_TASKRUN_FLAG } = uring;
  rig.note('deferring needs one thread', create(4, 8, SETUP_DEFER_TASKRUN));
  rig.note('a flag of nothing', create(4, 8, SETUP_TASKRUN_FLAG));
  rig.note('deferring', create(4, 8, SETUP_DEFER_TASKRUN | SETUP_SINGLE_ISSUER));
}

function submitting(rig: Rig, ring: RingRig): void {
  rig.note('nothing', ring.enter(0));
  rig.note('more than there are', ring.enter(0, 5));
  ring.add({ opcode: 200, userLow: 1 });
  ring.add({ opcode: uring.OP_POLL_ADD, fd: -1, userLow: 2 });
  ring.add({ opcode: uring.OP_CLOSE, fd: -1, userLow: 3 });
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 1, userLow: 4 });
  ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: 5 });
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: -1, address: 77, userLow: 6 });
  const all = uring.ASYNC_CANCEL_ALL | uring.ASYNC_CANCEL_ANY;
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: -1, opFlags: all, userLow: 7 });
  ring.add({ opcode: uring.OP_RECV, fd: -1, ioprio: uring.RECV_MULTISHOT, userLow: 8 });
  rig.note('all are submitted', ring.enter(0));
  noteTaken(rig, ring, 'and are done at once');
  rig.note('twice nothing', ring.enter());
}

function notAll(rig: Rig, ring: RingRig): void {
  ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: 1 });
  ring.add({ opcode: 200, userLow: 2 });
  ring.add({ opcode: uring.OP_POLL_REMOVE, address: 77, userLow: 3 });
  rig.note('up to the wrong one', ring.enter());
  collect(rig, ring, 'and then the rest', 3);
}

function cancelling(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers = ring.group(0, 4, 64);
  buffers.give(0, 1, 2, 3);
  const poll = { opcode: uring.OP_POLL_ADD, opFlags: EPOLLIN };
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  ring.add({ ...poll, fd: server, opFlags: 0, userLow: 2 });
  ring.add({ ...poll, fd: client, userLow: 3 });
  ring.enter();
  ring.add(cancelOf(4, 3));
  rig.note('submit', ring.enter(0));
  noteTaken(rig, ring, 'says so at once');
  ring.add(cancelOf(5, 3));
  ring.enter(0);
  noteTaken(rig, ring, 'again');
  collect(rig, ring, 'ends then', 1);
  const { ASYNC_CANCEL_ALL, ASYNC_CANCEL_FD, ASYNC_CANCEL_ANY } = uring;
  const opFlags = ASYNC_CANCEL_ALL | ASYNC_CANCEL_FD;
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: server, opFlags, userLow: 6 });
  collect(rig, ring, 'all of a descriptor', 3);
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: server, opFlags, userLow: 7 });
  collect(rig, ring, 'none is left', 1);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 8 });
  ring.enter();
  rig.send(client, 'x');
  rig.settle();
  ring.add(cancelOf(9, 8));
  collect(rig, ring, 'ready, and cancelled', 2);
  rig.observe('what was sent is still there', () => rig.eventsOf(server));
  ring.add({ ...poll, fd: client, userLow: 10 });
  ring.add({ ...poll, fd: client, userLow: 11 });
  const all = ASYNC_CANCEL_ALL | ASYNC_CANCEL_ANY;
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: -1, opFlags: all, userLow: 12 });
  ring.enter();
  const list = ring.take().map((one) => format(one));
  rig.note('everything, in any order', list.sort().join(', '));
  const both = ASYNC_CANCEL_FD | ASYNC_CANCEL_ANY;
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: server, opFlags: both, userLow: 13 });
  collect(rig, ring, 'contradiction', 1);
}

function closing(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers = ring.group(0, 4, 64);
  buffers.give(0, 1, 2, 3);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  ring.enter();
  rig.note('close', rig.close(server));
  quiet(rig, ring, 'goes on');
  rig.note('no FIN', rig.receive(client));
  rig.send(client, 'x');
  collect(rig, ring, 'receives', 1);
  ring.add(cancelOf(2, 1));
  collect(rig, ring, 'cancelled', 2);
  rig.observe('FIN', () => rig.receive(client));
}

function closingByRing(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  ring.add({ opcode: uring.OP_CLOSE, fd: server, userLow: 1 });
  ring.add({ opcode: uring.OP_CLOSE, fd: server, userLow: 2 });
  ring.add({ opcode: uring.OP_CLOSE, fd: ring.ring.fd, userLow: 3 });
  noteAtOnce(rig, ring);
  rig.observe('FIN', () => rig.receive(client));
}

function overflowing(rig: Rig, ring: RingRig): void {
  const eventfd = rig.keep(rig.kernel.eventfd());
  const poll = { opcode: uring.OP_POLL_ADD, opFlags: EPOLLIN, length: uring.POLL_ADD_MULTI };
  ring.add({ ...poll, fd: eventfd, userLow: 100 });
  ring.enter();
  for (let i = 0; i < 3; i++) ring.add(cancelOf(i, 77));
  ring.enter();
  for (let i = 3; i < 6; i++) ring.add(cancelOf(i, 77));
  ring.enter(0);
  rig.note('flags', ring.sqFlags);
  rig.kernel.signal(eventfd);
  ring.enter();
  rig.note('flags', ring.sqFlags);
  rig.note(
    'as many as fit',
    ring
      .take(1)
      .map((one) => format(one))
      .join(', '),
  );
  ring.enter();
  rig.note('flags', ring.sqFlags);
  noteTaken(rig, ring, 'in order');
  rig.note('flags', ring.sqFlags);
  ring.enter(0);
  rig.note('not without the flag', ring.take().length);
  collect(rig, ring, 'the rest; the poll has ended', 2);
  rig.note('flags', ring.sqFlags);
  rig.kernel.signal(eventfd);
  quiet(rig, ring, 'it has');
}

function manyAtOnce(rig: Rig, ring: RingRig): void {
  const eventfds = Array.from({ length: 50 }, () => rig.keep(rig.kernel.eventfd()));
  const poll = { opcode: uring.OP_POLL_ADD, opFlags: EPOLLIN };
  for (const [i, fd] of eventfds.entries()) ring.add({ ...poll, fd, userLow: i });
  rig.note('submit', ring.enter());
  for (const fd of eventfds) rig.kernel.signal(fd);
  for (let i = 0; i < 4; i++) {
    ring.enter();
    rig.note(
      'some at a time',
      ring
        .take()
        .map((one) => one.user)
        .join(' '),
    );
    rig.note('flags', ring.sqFlags);
  }
  for (const [i, fd] of eventfds.entries()) ring.add({ ...poll, fd, userLow: i });
  for (const fd of eventfds) rig.kernel.drain(fd);
  ring.enter();
  for (const fd of eventfds) rig.kernel.signal(fd);
  ring.add(cancelOf(99, 777));
  ring.enter();
  rig.note(
    'twice as many with a submission',
    ring
      .take()
      .map((one) => one.user)
      .join(' '),
  );
  ring.enter();
  ring.take();
}

function cooperative(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers = ring.group(0, 4, 64);
  buffers.give(0, 1, 2, 3);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  rig.note('submit', ring.enter(0));
  rig.send(client, 'hello');
  const list: Completion[] = [];
  for (let i = 0; i < 100 && list.length === 0; i++) {
    rig.settle();
    ring.enter(0);
    list.push(...ring.take());
  }
  rig.note('at any enter', list.map((one) => format(one)).join(', '));
  ring.add(cancelOf(2, 1));
  collect(rig, ring, 'cancelled', 2);
}

export const URING_SCRIPTS: readonly Script[] = [
  { name: 'io_uring: setup', run: setup },
  { name: 'io_uring: submissions', run: withRing(submitting) },
  { name: 'io_uring: a wrong submission ends the enter', run: withRing(notAll, 8, 16, 0) },
  { name: 'io_uring: cancelling', run: withRing(cancelling) },
  { name: 'io_uring: closing a descriptor in use', run: withRing(closing) },
  { name: 'io_uring: closing by a submission', run: withRing(closingByRing) },
  { name: 'io_uring: a full completion queue', run: withRing(overflowing, 4, 4) },
  { name: 'io_uring: work comes in portions', run: withRing(manyAtOnce) },
  { name: 'io_uring: without deferring', run: withRing(cooperative, 8, 16, COOPERATIVE) },
];
