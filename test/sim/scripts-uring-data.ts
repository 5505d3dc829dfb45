/** Sequences of calls on an io_uring for the differential test: receiving, sending and shutting down. */

import { MSGHDR_SIZE, MSGHDR_VECTOR, MSGHDR_VECTOR_LENGTH } from '../../src/base/layout.js';
import {
  AF_INET,
  AF_UNIX,
  EPOLLOUT,
  SHUT_WR,
  SO_LINGER,
  SOL_SOCKET,
} from '../../src/base/linux.js';
import * as uring from '../../src/base/uring.js';
import type { Rig, Script } from './differential-rig.js';
import type { BufferRig, RingRig } from './ring-rig.js';
import { collect, quiet, RECEIVE_MANY, withRing, noteAtOnce } from './ring-script.js';
import { MSG_DONTWAIT, MSG_WAITALL, writeAddress } from './sim-uring-entry.js';

const RECEIVE_ONE = { opcode: uring.OP_RECV, flags: uring.SQE_BUFFER_SELECT };

function receivingMany(domain: number): (rig: Rig, ring: RingRig) => void {
  return (rig, ring) => {
    const { client, server } = rig.pair(domain);
    const buffers = ring.group(5, 4, 16);
    rig.note('register', buffers.result);
    buffers.give(2, 0);
    ring.add({ ...RECEIVE_MANY, fd: server, group: 5, userLow: 1 });
    quiet(rig, ring, 'nothing');
    rig.send(client, 'hello');
    collect(rig, ring, 'hello', 1);
    rig.note('text', buffers.text(2, 5));
    rig.send(client, 'you');
    collect(rig, ring, 'the last buffer', 1);
    rig.note('text', buffers.text(0, 3));
    rig.send(client, 'too much');
    collect(rig, ring, 'no buffer', 1);
    buffers.give(1, 3);
    ring.add({ ...RECEIVE_MANY, fd: server, group: 5, userLow: 2 });
    collect(rig, ring, 'it has waited', 1);
    rig.note('text', buffers.text(1, 8));
    buffers.give(0, 1, 2);
    rig.send(client, 'a'.repeat(40));
    rig.settle();
    collect(rig, ring, 'in pieces', 3);
    rig.kernel.shutdown(client, SHUT_WR);
    collect(rig, ring, 'FIN', 1);
    ring.add({ ...RECEIVE_MANY, fd: server, group: 5, userLow: 3 });
    collect(rig, ring, 'FIN again, without a buffer', 1);
    buffers.give(0);
    ring.add({ ...RECEIVE_MANY, fd: server, group: 5, userLow: 4 });
    collect(rig, ring, 'FIN again', 1);
    ring.add({ ...RECEIVE_MANY, fd: server, group: 6, userLow: 5 });
    collect(rig, ring, 'no such group', 1);
  };
}

function dataAndFin(domain: number): (rig: Rig, ring: RingRig) => void {
  return (rig, ring) => {
    const { client, server } = rig.pair(domain);
    const buffers = ring.group(0, 4, 16);
    buffers.give(0, 1, 2);
    rig.send(client, 'bye');
    rig.kernel.shutdown(client, SHUT_WR);
    rig.settle();
    ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
    collect(rig, ring, 'data and FIN', 2);
    const other = rig.pair(domain);
    ring.add({ ...RECEIVE_MANY, fd: other.server, userLow: 2 });
    ring.enter();
    rig.send(other.client, 'bye');
    rig.kernel.shutdown(other.client, SHUT_WR);
    rig.settle();
    collect(rig, ring, 'data and FIN while armed', 2);
  };
}

function lastBufferAndFin(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers = ring.group(0, 4, 16);
  buffers.give(0);
  rig.send(client, 'bye');
  rig.kernel.shutdown(client, SHUT_WR);
  rig.settle();
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  collect(rig, ring, 'no buffer for the FIN', 2);
  buffers.give(1);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 2 });
  collect(rig, ring, 'FIN', 1);
}

function incremental(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers: BufferRig = ring.group(0, 2, 16, uring.PBUF_RING_INC);
  rig.note('register', buffers.result);
  buffers.give(0, 1);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  ring.enter();
  rig.send(client, 'hello');
  collect(rig, ring, 'first', 1);
  rig.send(client, 'again');
  collect(rig, ring, 'second', 1);
  rig.note('text', buffers.text(0, 10));
  rig.send(client, 'and much more');
  collect(rig, ring, 'into the next', 2);
  rig.note('text', `${buffers.text(0, 16)} ${buffers.text(1, 7)}`);
  buffers.give(0);
  rig.send(client, '123456789');
  collect(rig, ring, 'exactly full', 1);
  rig.send(client, 'x'.repeat(16));
  collect(rig, ring, 'all of one', 1);
  rig.send(client, 'y');
  collect(rig, ring, 'none is left', 1);
  buffers.give(1);
  ring.add({ ...RECEIVE_ONE, fd: server, userLow: 2 });
  collect(rig, ring, 'one receive', 1);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 3 });
  ring.enter();
  rig.kernel.shutdown(client, SHUT_WR);
  collect(rig, ring, 'FIN', 1);
}

function registeringBuffers(rig: Rig, ring: RingRig): void {
  rig.note('register', ring.group(3, 4, 16).result);
  rig.note('again', ring.group(3, 4, 16).result);
  rig.note('not a power of two', ring.group(4, 3, 16).result);
  rig.note('an unknown flag', ring.group(4, 4, 16, 0x80).result);
  const bytes = Buffer.alloc(uring.BUF_REG_SIZE);
  bytes.writeUInt32LE(4, uring.BUF_REG_ENTRIES);
  bytes.writeUInt16LE(4, uring.BUF_REG_GROUP);
  const { fd } = ring.ring;
  const { REGISTER_PBUF_RING, UNREGISTER_PBUF_RING } = uring;
  rig.note('no memory', rig.kernel.ringRegister(fd, REGISTER_PBUF_RING, bytes, 1));
  const memory = ring.memory(3 * 4096);
  const page = Math.ceil(memory.address / 4096) * 4096;
  writeAddress(bytes, uring.BUF_REG_ADDRESS, page + 16);
  rig.note('not at a page', rig.kernel.ringRegister(fd, REGISTER_PBUF_RING, bytes, 1));
  const group = Buffer.alloc(uring.BUF_REG_SIZE);
  group.writeUInt16LE(3, uring.BUF_REG_GROUP);
  rig.note('take away', rig.kernel.ringRegister(fd, UNREGISTER_PBUF_RING, group, 1));
  rig.note('again', rig.kernel.ringRegister(fd, UNREGISTER_PBUF_RING, group, 1));
}

function receivingOnce(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const memory = ring.memory(64);
  const receive = { opcode: uring.OP_RECV, fd: server, address: memory.address };
  ring.add({ ...receive, length: 8, userLow: 1 });
  quiet(rig, ring, 'nothing');
  rig.send(client, 'hello, you');
  collect(rig, ring, 'received', 1);
  rig.note('text', memory.bytes.toString('latin1', 0, 8));
  ring.add({ ...receive, length: 64, userLow: 2 });
  noteAtOnce(rig, ring);
  ring.add({ ...receive, length: 64, opFlags: MSG_DONTWAIT, userLow: 3 });
  collect(rig, ring, 'without waiting', 1);
  ring.add({ ...receive, length: 64, userLow: 4 });
  ring.enter();
  rig.setOption(client, SOL_SOCKET, SO_LINGER, 1, 0);
  rig.close(client);
  collect(rig, ring, 'RST', 1);
  ring.add({ ...receive, length: 64, userLow: 5 });
  collect(rig, ring, 'after it', 1);
  const eventfd = rig.keep(rig.kernel.eventfd());
  ring.add({ ...receive, length: 64, fd: eventfd, userLow: 6 });
  collect(rig, ring, 'no socket', 1);
}

function reset(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const buffers = ring.group(0, 4, 16);
  buffers.give(0, 1, 2, 3);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 1 });
  ring.enter();
  rig.setOption(client, SOL_SOCKET, SO_LINGER, 1, 0);
  rig.close(client);
  collect(rig, ring, 'RST', 1);
  ring.add({ ...RECEIVE_MANY, fd: server, userLow: 2 });
  collect(rig, ring, 'after it', 1);
}

function sending(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const memory = ring.memory(64);
  memory.bytes.write('hello, world');
  const send = { opcode: uring.OP_SEND, fd: client, address: memory.address };
  ring.add({ ...send, length: 5, userLow: 1 });
  noteAtOnce(rig, ring);
  rig.observe('received', () => rig.eventsOf(server));
  rig.note('received', rig.receive(server));
  const message = ring.memory(MSGHDR_SIZE + 32);
  writeAddress(message.bytes, MSGHDR_VECTOR, message.address + MSGHDR_SIZE);
  writeAddress(message.bytes, MSGHDR_VECTOR_LENGTH, 2);
  writeAddress(message.bytes, MSGHDR_SIZE, memory.address + 7);
  writeAddress(message.bytes, MSGHDR_SIZE + 8, 5);
  writeAddress(message.bytes, MSGHDR_SIZE + 16, memory.address);
  writeAddress(message.bytes, MSGHDR_SIZE + 24, 7);
  const address = message.address;
  ring.add({ opcode: uring.OP_SENDMSG, fd: client, address, length: 1, userLow: 2 });
  ring.enter(0);
  message.bytes.fill(0);
  collect(rig, ring, 'a message', 1);
  rig.observe('received', () => rig.eventsOf(server));
  rig.note('received', rig.receive(server));
  rig.close(server);
  rig.settle();
  ring.add({ ...send, length: 5, userLow: 3 });
  collect(rig, ring, 'to a closed peer', 1);
  rig.settle();
  ring.add({ ...send, length: 5, userLow: 4 });
  collect(rig, ring, 'after its RST', 1);
}

function sendingWaits(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_UNIX);
  const memory = ring.memory(100_000);
  const total = rig.fill(client);
  const send = { opcode: uring.OP_SEND, fd: client, address: memory.address, length: 100_000 };
  ring.add({ ...send, opFlags: MSG_DONTWAIT, userLow: 1 });
  collect(rig, ring, 'full', 1);
  ring.add({ ...send, opFlags: MSG_WAITALL, userLow: 2 });
  quiet(rig, ring, 'waits');
  rig.note('drain', rig.drain(server, total));
  let left = 100_000;
  for (let i = 0; i < 200 && left > 0; i++) {
    rig.settle();
    ring.enter();
    left -= Buffer.from(rig.receive(server, 100_000)).length - 2;
    if (left > 0 && left < 100_000) continue;
  }
  collect(rig, ring, 'all of it', 1);
  const again = rig.fill(client);
  ring.add({ ...send, userLow: 3 });
  quiet(rig, ring, 'waits');
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, address: 3, userLow: 4 });
  collect(rig, ring, 'cancelled', 2);
  rig.note('something was sent', again > 0 ? 1 : 0);
}

/** Waiting for anything is waiting for the peer's FIN, too: one that has come never lets a send wait in peace. */
function sendingHalfClosed(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_UNIX);
  rig.kernel.shutdown(client, SHUT_WR);
  rig.observe('FIN', () => rig.receive(server));
  const memory = ring.memory(100_000);
  const total = rig.fill(server);
  const poll = { opcode: uring.OP_POLL_ADD, fd: server, opFlags: EPOLLOUT };
  ring.add({ ...poll, userLow: 1 });
  collect(rig, ring, 'a poll ends at once', 1);
  ring.add({ ...poll, length: uring.POLL_ADD_MULTI, userLow: 2 });
  collect(rig, ring, 'one of many times, too', 1);
  quiet(rig, ring, 'and waits then');
  const send = { opcode: uring.OP_SEND, fd: server, address: memory.address, length: 100_000 };
  ring.add({ ...send, opFlags: MSG_DONTWAIT, userLow: 3 });
  collect(rig, ring, 'a send that does not wait', 1);
  ring.add({ ...send, userLow: 4 });
  // It is tried again and again; how often until it is left to a thread is a matter of time on Linux.
  for (let i = 0; i < 400; i++) ring.enter();
  rig.settle();
  for (let i = 0; i < 100; i++) ring.enter();
  rig.note('until a thread waits in it', ring.sqFlags);
  rig.settle();
  ring.add({ opcode: uring.OP_ASYNC_CANCEL, fd: -1, address: 4, userLow: 5 });
  collect(rig, ring, 'and must be interrupted', 2);
  rig.note('drain', rig.drain(client, total));
  const list = collect(rig, ring, '', 1);
  rig.log.pop();
  rig.note(
    'writable',
    list.every((one) => one.user === 2 && (one.result & EPOLLOUT) !== 0) ? 1 : 0,
  );
}

function shuttingDown(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  ring.add({ opcode: uring.OP_SHUTDOWN, fd: client, length: SHUT_WR, userLow: 1 });
  ring.enter(0);
  rig.note('not at once', ring.take().length);
  rig.observe('FIN', () => rig.receive(server));
  rig.note('not without the flag', ring.take().length);
  collect(rig, ring, 'done', 1);
  ring.add({ opcode: uring.OP_SHUTDOWN, fd: client, length: 7, userLow: 2 });
  collect(rig, ring, 'wrong', 1);
  const fresh = rig.socket(AF_INET);
  ring.add({ opcode: uring.OP_SHUTDOWN, fd: fresh, length: SHUT_WR, userLow: 3 });
  collect(rig, ring, 'not connected', 1);
}

function twoReceives(rig: Rig, ring: RingRig): void {
  const { client, server } = rig.pair(AF_INET);
  const memory = ring.memory(64);
  const receive = { opcode: uring.OP_RECV, fd: server, address: memory.address, length: 4 };
  ring.add({ ...receive, userLow: 1 });
  ring.add({ ...receive, address: memory.address + 4, userLow: 2 });
  ring.enter();
  rig.send(client, '12345678');
  const list = collect(rig, ring, 'both', 2);
  rig.note('received', list.length);
}

export const URING_DATA_SCRIPTS: readonly Script[] = [
  { name: 'io_uring: receives many times', run: withRing(receivingMany(AF_INET)) },
  { name: 'io_uring: receives many times, Unix', run: withRing(receivingMany(AF_UNIX)) },
  { name: 'io_uring: data and FIN', run: withRing(dataAndFin(AF_INET)) },
  { name: 'io_uring: data and FIN, Unix', run: withRing(dataAndFin(AF_UNIX)) },
  { name: 'io_uring: FIN without a buffer', run: withRing(lastBufferAndFin) },
  { name: 'io_uring: incremental buffers', run: withRing(incremental) },
  { name: 'io_uring: registering buffers', run: withRing(registeringBuffers) },
  { name: 'io_uring: receives once', run: withRing(receivingOnce) },
  { name: 'io_uring: two receives', run: withRing(twoReceives) },
  { name: 'io_uring: RST', run: withRing(reset) },
  { name: 'io_uring: sends', run: withRing(sending) },
  { name: 'io_uring: sends wait', run: withRing(sendingWaits) },
  { name: 'io_uring: sends to who sends no more', run: withRing(sendingHalfClosed) },
  { name: 'io_uring: shuts down', run: withRing(shuttingDown) },
];
