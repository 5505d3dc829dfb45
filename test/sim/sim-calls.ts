/**
 * The calls that can meet a fault: each decides whether one happens, and asks the model for the rest. A fault is always
 * something that Linux could have answered in that state, and one that breaks a connection really breaks it, at both
 * ends. Called by sim-kernel.ts.
 */

import {
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  ECONNABORTED,
  ECONNRESET,
  EINVAL,
  EMFILE,
  ENETUNREACH,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOSPC,
  EPIPE,
  EPROTO,
  ESOCKTNOSUPPORT,
  ETIMEDOUT,
} from '../../src/base/errno.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLL_CTL_ADD,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../src/base/linux.js';
import type { Description } from './sim-descriptors.js';
import { SimEpoll } from './sim-epoll.js';
import type { SimMemory } from './sim-memory.js';
import { SEND_SHUT, type SimSocket } from './sim-socket.js';
import { TcpSocket } from './sim-tcp.js';
import type { SimWorld } from './sim-world.js';

const NOTHING = new Uint8Array(0);

/** 0 if there is room for one more descriptor, or -EMFILE or -ENFILE. */
export function roomForDescriptor(world: SimWorld): number {
  if (world.faults.hit('tableFull')) return -EMFILE;
  if (world.faults.hit('systemFull')) return -ENFILE;
  return world.table.room();
}

/** A fresh socket that no descriptor names yet, or -errno. */
export function createSocket(world: SimWorld, domain: number, type: number): SimSocket | number {
  if (domain !== AF_INET && domain !== AF_INET6 && domain !== AF_UNIX) return -EAFNOSUPPORT;
  if (type !== SOCK_STREAM && type !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  if (world.faults.hit('socketNoMemory')) return -memoryError(world);
  const socket = world.network.socket(domain, type);
  socket.isConfined = true;
  return socket;
}

/** The next connection of a listener, which the caller gives a descriptor, or -errno. */
export function acceptFrom(
  world: SimWorld,
  listener: SimSocket,
  isDirect = false,
): SimSocket | number {
  const { faults, faultRandom } = world;
  // Linux takes the descriptor first: a full table shows even when nobody waits. A direct one it takes last.
  const room = isDirect ? 0 : roomForDescriptor(world);
  if (room < 0) return room;
  if (listener.backlogLength > 0) {
    if (faults.hit('acceptAgain')) return -EAGAIN;
    if (faults.hit('acceptNoMemory')) return -memoryError(world);
  }
  const child = listener.accept();
  if (typeof child === 'number' || !faults.hit('acceptAborted')) return child;
  child.abort();
  return -faultRandom.pick([ECONNABORTED, EPROTO]);
}

export function connectTo(world: SimWorld, socket: SimSocket, sockaddr: Uint8Array): number {
  const { faults, faultRandom } = world;
  if (!(socket instanceof TcpSocket) || !socket.isFresh) return socket.connect(sockaddr);
  if (faults.hit('connectFailed')) return -faultRandom.pick([ENETUNREACH, ENOBUFS]);
  if (faults.hit('connectRefused')) socket.fate = 'refused';
  else if (faults.hit('connectLost')) socket.fate = 'lost';
  const result = socket.connect(sockaddr);
  if (!socket.isConnecting || !faults.hit('connectAtOnce')) return result;
  return socket.hurry() ? 0 : result;
}

export function receiveFrom(world: SimWorld, socket: SimSocket, target: Uint8Array): number {
  const { faults, faultRandom } = world;
  if (target.length === 0) world.violations.note('receive into no memory looks like an end');
  if (socket.isConnected && socket.error === 0) {
    if (socket.shutdownMask === 0 && faults.hit('receiveAgain')) return -EAGAIN;
    if (faults.hit('receiveReset')) socket.breakWith(ECONNRESET);
  }
  if (target.length > 1 && faults.hit('shortReceive')) {
    const byteLength = Math.floor(faultRandom.logarithmic(1, target.length));
    return socket.receive(target.subarray(0, byteLength));
  }
  return socket.receive(target);
}

/** Sends the pieces in order until one is not taken whole. */
export function sendTo(world: SimWorld, socket: SimSocket, pieces: readonly Uint8Array[]): number {
  const { faults, faultRandom } = world;
  let left = 0;
  for (const piece of pieces) left += piece.length;
  if (socket.isConnected && socket.error === 0 && (socket.shutdownMask & SEND_SHUT) === 0) {
    if (faults.hit('sendAgain')) return -EAGAIN;
    if (faults.hit('sendNoMemory')) return -memoryError(world);
    if (faults.hit('sendReset')) socket.breakWith(faultRandom.pick([ECONNRESET, EPIPE, ETIMEDOUT]));
    if (left > 1 && faults.hit('shortSend')) left = Math.floor(faultRandom.logarithmic(1, left));
  }
  if (left === 0) return socket.send(NOTHING);
  let done = 0;
  for (const piece of pieces) {
    if (left === 0) break;
    if (piece.length === 0) continue;
    const n = socket.send(piece.length <= left ? piece : piece.subarray(0, left));
    if (n < 0) return done > 0 ? done : n;
    done += n;
    left -= n;
    if (n < piece.length) break;
  }
  return done;
}

/** epoll_ctl(2) on what is meant to be an epoll instance. */
export function controlEpoll(
  world: SimWorld,
  name: string,
  epoll: Description | undefined,
  operation: number,
  fd: number,
  events: number,
  low: number,
  high: number,
): number {
  const description = world.table.find(fd, name, 'epollControl');
  if (epoll === undefined || description === undefined) return -EBADF;
  if (!SimEpoll.isModelled(events)) {
    world.violations.note(`${name}: epoll events 0x${events.toString(16)} are not modelled`);
  }
  if (!(epoll instanceof SimEpoll)) return -EINVAL;
  if (operation === EPOLL_CTL_ADD && world.faults.hit('controlNoMemory')) {
    return -world.faultRandom.pick([ENOMEM, ENOSPC]);
  }
  return epoll.control(operation, fd, description, events, low, high);
}

/** The memory that iovecs name. */
export function readVector(memory: SimMemory, words: Buffer, count: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const address = words.readUInt32LE(i * 16) + words.readUInt32LE(i * 16 + 4) * 2 ** 32;
    const byteLength = words.readUInt32LE(i * 16 + 8) + words.readUInt32LE(i * 16 + 12) * 2 ** 32;
    // An empty range may point anywhere: Linux does not look at it.
    if (byteLength > 0) pieces.push(memory.view(address, byteLength, 'sendVector'));
  }
  return pieces;
}

function memoryError(world: SimWorld): number {
  return world.faultRandom.pick([ENOBUFS, ENOMEM]);
}
