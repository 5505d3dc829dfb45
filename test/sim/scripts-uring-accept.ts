/** Sequences of calls on an io_uring for the differential test: accepting, and direct descriptors. */

import { AF_INET, AF_UNIX, SHUT_RD, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import type { Rig, Script } from './differential-rig.js';
import type { RingRig } from './ring-rig.js';
import { cancelOf, collect, quiet, RECEIVE_MANY, withRing } from './ring-script.js';

const ACCEPT = {
  opcode: uring.OP_ACCEPT,
  ioprio: uring.ACCEPT_MULTISHOT,
  opFlags: SOCK_CLOEXEC | SOCK_NONBLOCK,
};
const DIRECT_ACCEPT = {
  opcode: uring.OP_ACCEPT,
  ioprio: uring.ACCEPT_MULTISHOT,
  fileIndex: uring.FILE_INDEX_ALLOC,
};
function accepting(domain: number): (rig: Rig, ring: RingRig) => void {
  return (rig, ring) => {
    const { fd, address } = rig.listen(domain);
    ring.add({ ...ACCEPT, fd, userLow: 1 });
    quiet(rig, ring, 'nobody');
    rig.connect(domain, address);
    collect(rig, ring, 'one', 1, true);
    rig.connect(domain, address);
    rig.connect(domain, address);
    rig.settle();
    collect(rig, ring, 'two at once', 2, true);
    ring.add(cancelOf(2, 1));
    collect(rig, ring, 'cancelled', 2);
    rig.connect(domain, address);
    quiet(rig, ring, 'not any more');
    ring.add({ ...ACCEPT, fd, userLow: 3 });
    collect(rig, ring, 'waiting already', 1, true);
    ring.add({ ...ACCEPT, fd, userLow: 4, ioprio: 0 });
    rig.connect(domain, address);
    rig.connect(domain, address);
    rig.settle();
    const list = collect(rig, ring, 'two requests', 2, true);
    rig.note('how many', list.length);
    rig.kernel.shutdown(fd, SHUT_RD);
    // Unix sockets tell nobody.
    if (domain === AF_INET) collect(rig, ring, 'the listener is shut', 1);
    else quiet(rig, ring, 'the listener is shut');
  };
}

function direct(rig: Rig, ring: RingRig): void {
  const { fd, address } = rig.listen(AF_INET);
  ring.add({ ...DIRECT_ACCEPT, fd, userLow: 1 });
  rig.connect(AF_INET, address);
  collect(rig, ring, 'without a table', 1);
  rig.note('register', ring.registerFiles(2));
  rig.note('register again', ring.registerFiles(2));
  ring.add({ ...DIRECT_ACCEPT, fd, userLow: 2, opFlags: SOCK_CLOEXEC });
  collect(rig, ring, 'close-on-exec', 1);
  ring.add({ ...DIRECT_ACCEPT, fd, userLow: 2 });
  const first = rig.connect(AF_INET, address);
  collect(rig, ring, 'first', 1);
  rig.connect(AF_INET, address);
  collect(rig, ring, 'second', 1);
  const third = rig.connect(AF_INET, address);
  collect(rig, ring, 'full', 1);
  rig.observe('who had no place is closed', () => rig.receive(third));
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 1, userLow: 3 });
  collect(rig, ring, 'close', 1);
  rig.observe('is closed', () => rig.receive(first));
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 1, userLow: 4 });
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 3, userLow: 5 });
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 2, fd: 1, userLow: 6 });
  ring.add({ opcode: uring.OP_POLL_ADD, fd: 0, flags: uring.SQE_FIXED_FILE, userLow: 7 });
  collect(rig, ring, 'wrong', 4);
  ring.add({ ...DIRECT_ACCEPT, fd, userLow: 8 });
  rig.connect(AF_INET, address);
  collect(rig, ring, 'in the place of the first', 1);
}

function directInUse(rig: Rig, ring: RingRig): void {
  const { fd, address } = rig.listen(AF_INET);
  ring.registerFiles(4);
  const buffers = ring.group(0, 4, 64);
  buffers.give(0, 1, 2, 3);
  ring.add({ ...DIRECT_ACCEPT, fd, userLow: 1 });
  const client = rig.connect(AF_INET, address);
  collect(rig, ring, 'accepted', 1);
  const flags = uring.SQE_FIXED_FILE;
  ring.add({ ...RECEIVE_MANY, flags: RECEIVE_MANY.flags | flags, fd: 0, userLow: 2 });
  rig.send(client, 'hello');
  collect(rig, ring, 'received', 1);
  ring.add({ opcode: uring.OP_FIXED_FD_INSTALL, flags, fd: 0, userLow: 3 });
  const [installed] = collect(rig, ring, 'installed', 1, true);
  rig.note('is the same', rig.send(installed!.result, 'x'));
  rig.close(installed!.result);
  rig.observe('is the same', () => rig.receive(client));
  ring.add({ opcode: uring.OP_FIXED_FD_INSTALL, fd: 0, userLow: 4 });
  collect(rig, ring, 'not a direct one', 1);
  ring.add({ opcode: uring.OP_CLOSE, fileIndex: 1, userLow: 5 });
  collect(rig, ring, 'closed', 1);
  rig.note('but in use', rig.receive(client));
  const opFlags = uring.ASYNC_CANCEL_FD | uring.ASYNC_CANCEL_FD_FIXED | uring.ASYNC_CANCEL_ALL;
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: 0, opFlags, userLow: 6 });
  collect(rig, ring, 'the place is empty', 1);
  ring.add(cancelOf(7, 2));
  collect(rig, ring, 'cancelled', 2);
  rig.observe('closed now', () => rig.receive(client));
}

export const URING_ACCEPT_SCRIPTS: readonly Script[] = [
  { name: 'io_uring: accepts TCP connections', run: withRing(accepting(AF_INET)) },
  { name: 'io_uring: accepts Unix connections', run: withRing(accepting(AF_UNIX)) },
  { name: 'io_uring: direct descriptors', run: withRing(direct) },
  { name: 'io_uring: a direct descriptor in use', run: withRing(directInUse) },
];
