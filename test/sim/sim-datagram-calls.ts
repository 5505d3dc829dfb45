/**
 * recvmmsg and sendmmsg of the simulated kernel: batches in the process's memory, all of which is checked, and the
 * faults that they can meet. The offsets are written out here, so that production and simulation cannot agree on a
 * wrong one. Called by sim-kernel.ts.
 */

import { EAGAIN, EBADF, ENOBUFS, ENOMEM, ENOTSOCK } from '../../src/base/errno.js';
import type { DatagramCalls, Region } from '../../src/base/kernel.js';
import { AF_INET6, MSG_ERRQUEUE, MSG_TRUNC } from '../../src/base/linux.js';
import { type Datagram, type QueuedError, SimDatagramSocket } from './sim-datagram-socket.js';
import type { SimWorld } from './sim-world.js';

const MESSAGE = 64;
const NAME = 0;
const NAME_LENGTH = 8;
const VECTOR = 16;
const VECTOR_LENGTH = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const FLAGS = 48;
const LENGTH = 56;
const SOL_SOCKET = 1;
const SO_RXQ_OVFL = 40;
const ICMP = 2;
const ICMP6 = 3;

type Note = (name: string, first: number, second: number, result: number) => number;

export class SimDatagramCalls implements DatagramCalls {
  readonly #world: SimWorld;
  readonly #name: string;
  readonly #note: Note;

  constructor(world: SimWorld, name: string, note: Note) {
    this.#world = world;
    this.#name = name;
    this.#note = note;
  }

  receive(fd: number, messages: Region, count: number, flags: number): number {
    const socket = this.#find(fd, 'receive');
    const result =
      typeof socket === 'number' ? socket : this.#receive(socket, messages, count, flags);
    return this.#note('receiveMessages', fd, count, result);
  }

  send(fd: number, messages: Region, first: number, count: number): number {
    const socket = this.#find(fd, 'send');
    const result = typeof socket === 'number' ? socket : this.#send(socket, messages, first, count);
    return this.#note('sendMessages', fd, count, result);
  }

  #find(fd: number, use: string): SimDatagramSocket | number {
    const description = this.#world.table.find(fd, this.#name, use);
    if (description instanceof SimDatagramSocket) return description;
    return description === undefined ? -EBADF : -ENOTSOCK;
  }

  #receive(socket: SimDatagramSocket, region: Region, count: number, flags: number): number {
    const { faults, faultRandom, memory } = this.#world;
    const bytes = memory.region(region, 'receiveMessages') as Buffer;
    if (faults.hit('receiveAgain')) return -EAGAIN;
    const most = count > 1 && faults.hit('shortReceive') ? faultRandom.between(1, count) : count;
    const isErrors = (flags & MSG_ERRQUEUE) !== 0;
    for (let i = 0; i < most; i++) {
      // An error after the first message is kept for the next call.
      if (i > 0 && !isErrors && socket.error !== 0) return i;
      const taken = isErrors ? socket.takeQueuedError() : socket.take();
      if (typeof taken === 'number') return i > 0 ? i : taken;
      this.#fill(socket, bytes.subarray(i * MESSAGE, (i + 1) * MESSAGE), taken, flags);
    }
    return most;
  }

  #fill(
    socket: SimDatagramSocket,
    head: Buffer,
    taken: Datagram | QueuedError,
    flags: number,
  ): void {
    const pieces = this.#pieces(head);
    const { bytes } = taken;
    let done = 0;
    for (const piece of pieces) {
      const n = Math.min(piece.length, bytes.length - done);
      piece.set(bytes.subarray(done, done + n));
      done += n;
    }
    const isError = 'errno' in taken;
    const name = isError ? taken.destination : taken.from;
    const room = head.readUInt32LE(NAME_LENGTH);
    if (addressAt(head, NAME) !== 0) {
      const target = this.#world.memory.view(addressAt(head, NAME), room, 'the name');
      target.set(name.subarray(0, room));
    }
    head.writeUInt32LE(name.length, NAME_LENGTH);
    const control = isError ? errorControl(socket, taken) : overflowControl(socket);
    const controlRoom = head.readUInt32LE(CONTROL_LENGTH);
    const view = this.#world.memory.view(addressAt(head, CONTROL), controlRoom, 'control data');
    const n = Math.min(control.length, controlRoom);
    view.set(control.subarray(0, n));
    head.writeUInt32LE(n, CONTROL_LENGTH);
    const isCut = done < bytes.length;
    head.writeUInt32LE((isCut ? MSG_TRUNC : 0) | (isError ? MSG_ERRQUEUE : 0), FLAGS);
    const tellsAll = (flags & MSG_TRUNC) !== 0 && !isError;
    head.writeUInt32LE(tellsAll ? bytes.length : done, LENGTH);
  }

  #send(socket: SimDatagramSocket, region: Region, first: number, count: number): number {
    const { faults, faultRandom, memory } = this.#world;
    const all = memory.region(region, 'sendMessages') as Buffer;
    for (let i = 0; i < count; i++) {
      const head = all.subarray((first + i) * MESSAGE, (first + i + 1) * MESSAGE);
      const bytes = Buffer.concat(this.#pieces(head));
      const length = head.readUInt32LE(NAME_LENGTH);
      const address = addressAt(head, NAME);
      const to = address === 0 ? undefined : memory.view(address, length, 'the name');
      if (head.readUInt32LE(CONTROL_LENGTH) !== 0) {
        this.#world.violations.note(`${this.#name}: control data to send are not modelled`);
      }
      let n: number;
      if (faults.hit('sendAgain')) n = -EAGAIN;
      else if (faults.hit('sendNoMemory')) n = -faultRandom.pick([ENOBUFS, ENOMEM]);
      else n = socket.sendMessage(bytes, to);
      if (n < 0) return i > 0 ? i : n;
      head.writeUInt32LE(n, LENGTH);
    }
    return count;
  }

  #pieces(head: Buffer): Uint8Array[] {
    const { memory } = this.#world;
    const count = head.readUInt32LE(VECTOR_LENGTH);
    const vector = Buffer.from(memory.view(addressAt(head, VECTOR), count * 16, 'iovecs'));
    const pieces: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const length = vector.readUInt32LE(i * 16 + 8);
      if (length > 0) pieces.push(memory.view(addressAt(vector, i * 16), length, 'payload'));
    }
    return pieces;
  }
}

function addressAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

function message(level: number, type: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc((16 + data.length + 7) & ~7);
  bytes.writeUInt32LE(16 + data.length, 0);
  bytes.writeUInt32LE(level, 8);
  bytes.writeUInt32LE(type, 12);
  bytes.set(data, 16);
  return bytes;
}

/** Only where something was lost, and asked for. */
function overflowControl(socket: SimDatagramSocket): Buffer {
  if (socket.lost === 0 || !socket.options.wantsOverflow) return Buffer.alloc(0);
  const data = Buffer.alloc(4);
  data.writeUInt32LE(socket.lost);
  return message(SOL_SOCKET, SO_RXQ_OVFL, data);
}

/** struct sock_extended_err, with the address of who complained. */
function errorControl(socket: SimDatagramSocket, error: QueuedError): Buffer {
  const isSix = socket.domain === AF_INET6;
  const head = Buffer.alloc(16);
  head.writeUInt32LE(error.errno, 0);
  head[4] = isSix ? ICMP6 : ICMP;
  // Destination unreachable: the port.
  head[5] = isSix ? 1 : 3;
  head[6] = isSix ? 4 : 3;
  const data = Buffer.concat([head, error.offender]);
  return isSix ? message(41, 25, data) : message(0, 11, data);
}
