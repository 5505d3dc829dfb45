/**
 * The kernel contract over a simulated world, for one simulated thread. Each call checks its memory and descriptors,
 * may meet a fault, is answered by the model, and is written to the trace. Kernels of one world share descriptors,
 * memory, files and clock, as threads of one process do.
 */

import { EAGAIN, EBADF, EINVAL, EMSGSIZE, ENOMEM, ENOTSOCK } from '../../src/base/errno.js';
import type {
  Alarm,
  DatagramCalls,
  Doorbell,
  Kernel,
  Region,
  Ring,
} from '../../src/base/kernel.js';
import { IOV_MAX } from '../../src/base/linux.js';
import type { Random } from './random.js';
import {
  acceptFrom,
  connectTo,
  controlEpoll,
  createSocket,
  readVector,
  receiveFrom,
  roomForDescriptor,
  sendTo,
} from './sim-calls.js';
import { SimDatagramCalls } from './sim-datagram-calls.js';
import { type Description, type DescriptorRecord, SimEventfd } from './sim-descriptors.js';
import { SimEpoll } from './sim-epoll.js';
import { readSimFile, type SimFile } from './sim-file.js';
import { SimAlarm, SimDoorbell, SimHost } from './sim-host.js';
import { SimSocket } from './sim-socket.js';
import { SimRing } from './sim-uring.js';
import { checkClose, createRing, leaveRings, register } from './sim-uring-register.js';
import type { SimWorld } from './sim-world.js';

export interface SimKernelOptions {
  readonly registry?: DescriptorRecord;
  /** The owner to write: the reactor's index + 1. */
  readonly owner?: number;
}

export class SimKernel implements Kernel {
  readonly name: string;
  readonly host: SimHost;
  readonly datagrams: DatagramCalls;
  readonly #world: SimWorld;
  readonly #thread: number;
  /** What `random` draws from. */
  readonly #entropy: Random;
  readonly #registry: DescriptorRecord | undefined;
  readonly #owner: number;
  #isDead = false;

  constructor(
    world: SimWorld,
    name: string,
    thread: number,
    entropy: Random,
    options: SimKernelOptions,
  ) {
    this.name = name;
    this.#world = world;
    this.#thread = thread;
    this.#entropy = entropy;
    this.#registry = options.registry;
    this.#owner = options.owner ?? thread + 1;
    this.host = new SimHost(name, world);
    this.datagrams = new SimDatagramCalls(world, name, (...values) => this.#done(...values));
  }

  /** The thread dies where it stands: nothing of it runs any more. Its descriptors stay open. */
  kill(): void {
    this.#isDead = true;
    this.host.clear();
    leaveRings(this.#world, this.#thread);
  }

  allocate(byteLength: number): Region {
    if (this.#world.faults.hit('regionNoMemory')) {
      this.#done('allocate', byteLength, 0, -ENOMEM);
      throw new RangeError(`Cannot allocate ${byteLength} bytes: out of memory`);
    }
    const region = this.#world.memory.allocate(byteLength);
    this.#done('allocate', byteLength, 0, region.address);
    return region;
  }

  release(region: Region): void {
    this.#world.memory.release(region);
    this.#done('release', region.address, region.bytes.length, 0);
  }

  discard(region: Region): void {
    this.#world.memory.discard(region);
    this.#done('discard', region.address, region.bytes.length, 0);
  }

  allocateBlock(byteLength: number): number {
    const isFull = this.#world.faults.hit('blockNoMemory');
    const address = isFull ? 0 : this.#world.memory.allocateBlock(byteLength);
    return this.#done('allocateBlock', byteLength, 0, address);
  }

  releaseBlock(address: number): void {
    // free(NULL) does nothing.
    if (address !== 0) this.#world.memory.releaseBlock(address);
    this.#done('releaseBlock', address, 0, 0);
  }

  copyIn(address: number, source: Uint8Array): void {
    this.#world.memory.view(address, source.length, 'copyIn').set(source);
    this.#done('copyIn', address, source.length, 0);
  }

  copyOut(target: Uint8Array, address: number): void {
    target.set(this.#world.memory.view(address, target.length, 'copyOut'));
    this.#done('copyOut', address, target.length, 0);
  }

  addressOf(bytes: Uint8Array): number {
    return this.#done('addressOf', bytes.length, 0, this.#world.memory.addressOf(bytes));
  }

  socket(domain: number, type: number, _protocol: number): number {
    const made = createSocket(this.#world, domain, type);
    return this.#done('socket', domain, type, typeof made === 'number' ? made : this.#open(made));
  }

  bind(fd: number, sockaddr: Uint8Array): number {
    return this.#ask('bind', fd, sockaddr.length, (socket) => socket.bind(sockaddr));
  }

  listen(fd: number, backlog: number): number {
    return this.#ask('listen', fd, backlog, (socket) => socket.listen(backlog));
  }

  accept(fd: number): number {
    const socket = this.#find(fd, 'accept');
    const child = typeof socket === 'number' ? socket : acceptFrom(this.#world, socket);
    const result = typeof child === 'number' ? child : this.#name(child);
    return this.#done('accept', fd, 0, result);
  }

  connect(fd: number, sockaddr: Uint8Array): number {
    return this.#ask('connect', fd, sockaddr.length, (socket) =>
      connectTo(this.#world, socket, sockaddr),
    );
  }

  receive(fd: number, region: Region): number {
    const target = this.#world.memory.region(region, 'receive');
    return this.receiveInto(fd, target, target.length);
  }

  receiveInto(fd: number, bytes: Uint8Array, length: number): number {
    const target = bytes.subarray(0, length);
    return this.#ask('receive', fd, length, (socket) => receiveFrom(this.#world, socket, target));
  }

  send(fd: number, bytes: Uint8Array): number {
    return this.#ask('send', fd, bytes.length, (socket) => sendTo(this.#world, socket, [bytes]));
  }

  sendAt(fd: number, address: number, byteLength: number): number {
    const bytes = this.#world.memory.view(address, byteLength, 'sendAt');
    return this.#ask('sendAt', fd, byteLength, (socket) => sendTo(this.#world, socket, [bytes]));
  }

  sendVector(fd: number, iovecs: Region, count: number): number {
    const words = this.#world.memory.region(iovecs, 'sendVector') as Buffer;
    if (count * 16 > words.length) {
      throw new RangeError(`sendVector: ${count} iovecs in ${words.length} bytes`);
    }
    const pieces = readVector(this.#world.memory, words, count);
    return this.#ask('sendVector', fd, count, (socket) =>
      count > IOV_MAX ? -EMSGSIZE : sendTo(this.#world, socket, pieces),
    );
  }

  sendFile(fd: number, file: number, offset: number, byteLength: number): number {
    const bytes = readSimFile(this.#world, this.name, file, offset, byteLength);
    return this.#ask('sendFile', fd, byteLength, (socket) => {
      if (typeof bytes === 'number') return bytes;
      return bytes.length === 0 ? 0 : sendTo(this.#world, socket, [bytes]);
    });
  }

  readAt(file: number, offset: number, region: Region, start: number, byteLength: number): number {
    const target = this.#world.memory.region(region, 'readAt') as Buffer;
    const bytes = readSimFile(this.#world, this.name, file, offset, byteLength);
    if (typeof bytes !== 'number') target.set(bytes, start);
    return this.#done('readAt', file, byteLength, typeof bytes === 'number' ? bytes : bytes.length);
  }

  /** A descriptor of a file with that content. */
  openFile(file: SimFile): number {
    return this.#done('openFile', file.bytes.length, 0, this.#open(file));
  }

  shutdown(fd: number, how: number): number {
    return this.#ask('shutdown', fd, how, (socket) => socket.shutdown(how));
  }

  close(fd: number): number {
    if (fd >= 0) this.#registry?.clear(fd);
    return this.#done('close', fd, 0, this.#world.table.close(fd, this.name));
  }

  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): number {
    return this.#ask('setSocketOption', fd, level * 256 + name, (socket) =>
      socket.setOption(level, name, value),
    );
  }

  getSocketOption(fd: number, level: number, name: number, value: Uint8Array): number {
    return this.#ask('getSocketOption', fd, level * 256 + name, (socket) =>
      socket.getOption(level, name, value),
    );
  }

  getSocketName(fd: number, sockaddr: Uint8Array): number {
    return this.#ask('getSocketName', fd, 0, (socket) => socket.localName(sockaddr));
  }

  getPeerName(fd: number, sockaddr: Uint8Array): number {
    return this.#ask('getPeerName', fd, 0, (socket) => socket.peerName(sockaddr));
  }

  adopt(fd: number): number {
    const description = this.#world.table.find(fd, this.name, 'adopt');
    if (description !== undefined) this.#registry?.set(fd, this.#owner);
    return this.#done('adopt', fd, 0, description === undefined ? -EBADF : 0);
  }

  duplicate(fd: number): number {
    const description = this.#world.table.find(fd, this.name, 'duplicate');
    return this.#done('duplicate', fd, 0, description ? this.#open(description) : -EBADF);
  }

  readonly reserve = () => this.eventfd();

  unlink(path: string): number {
    return this.#done('unlink', path.length, 0, this.#world.files.unlink(path));
  }

  changeMode(path: string, mode: number): number {
    return this.#done('changeMode', path.length, mode, this.#world.files.changeMode(path, mode));
  }

  isSocketFile(path: string): number {
    return this.#done('isSocketFile', path.length, 0, this.#world.files.isSocketFile(path));
  }

  epollCreate(): number {
    const { schedulerRandom, faults } = this.#world;
    return this.#done('epollCreate', 0, 0, this.#open(new SimEpoll(schedulerRandom, faults)));
  }

  epollControl(
    epfd: number,
    operation: number,
    fd: number,
    events: number,
    low: number,
    high: number,
  ): number {
    const epoll = this.#world.table.find(epfd, this.name, 'epollControl');
    const result = controlEpoll(this.#world, this.name, epoll, operation, fd, events, low, high);
    return this.#done('epollControl', epfd * 65_536 + fd, operation * 65_536 + events, result);
  }

  epollWait(epfd: number, events: Region): number {
    const target = this.#world.memory.region(events, 'epollWait') as Buffer;
    const epoll = this.#world.table.find(epfd, this.name, 'epollWait');
    let result = epoll === undefined ? -EBADF : -EINVAL;
    if (epoll instanceof SimEpoll) result = epoll.wait(target);
    return this.#done('epollWait', epfd, target.length, result);
  }

  readonly eventfd = () => this.#done('eventfd', 0, 0, this.#open(new SimEventfd()));

  signal(eventfd: number): number {
    const description = this.#counter(eventfd, 'signal');
    if (typeof description === 'number') return this.#done('signal', eventfd, 0, description);
    description.add();
    return this.#done('signal', eventfd, description.count, 8);
  }

  drain(eventfd: number): number {
    const description = this.#counter(eventfd, 'drain');
    if (typeof description === 'number') return this.#done('drain', eventfd, 0, description);
    const count = description.count;
    description.count = 0;
    return this.#done('drain', eventfd, count, count === 0 ? -EAGAIN : 8);
  }

  ringCreate(sqEntries: number, cqEntries: number, flags: number): Ring | number {
    const ring = createRing(this.#world, this.#thread, this.name, sqEntries, cqEntries, flags);
    const fd = typeof ring === 'number' ? ring : this.#open(ring);
    this.#done('ringCreate', sqEntries, cqEntries, fd);
    if (typeof ring === 'number') return fd;
    return fd < 0 ? ring.discard(fd) : ring.describe(fd);
  }

  ringEnter(fd: number, count: number, flags: number): number {
    const ring = this.#world.table.find(fd, this.name, 'ringEnter');
    const result = ring instanceof SimRing ? ring.enter(this.#thread, count, flags) : -EBADF;
    return this.#done('ringEnter', count, flags, result);
  }

  ringRegister(fd: number, operation: number, argument: Uint8Array | undefined, n: number): number {
    const ring = this.#world.table.find(fd, this.name, 'ringRegister');
    const result =
      ring instanceof SimRing ? register(ring, this.#thread, operation, argument, n) : -EBADF;
    return this.#done('ringRegister', operation, n, result);
  }

  ringClose(ring: Ring): void {
    checkClose(this.#world, this.name, ring);
    this.close(ring.fd);
    for (const region of [ring.rings, ring.sqes]) this.#world.memory.unmap(region);
  }

  unmap(address: number, byteLength: number): void {
    this.#world.memory.unmap({ address });
    this.#done('unmap', address, byteLength, 0);
  }

  own(fd: number): void {
    this.#registry?.set(fd, this.#owner);
    this.#done('own', fd, 0, 0);
  }

  readonly now = () => this.#world.timeline.now;

  random(): number {
    return this.#done('random', 0, 0, this.#entropy.uint32());
  }

  defer(callback: () => void): void {
    if (!this.#isDead) this.host.defer(callback);
    this.#done('defer', 0, 0, 0);
  }

  doorbell(fd: number, callback: (isDrained: boolean) => void): Doorbell {
    this.#done('doorbell', fd, 0, 0);
    return new SimDoorbell(this.host, fd, () => callback(false));
  }

  alarm(callback: () => void): Alarm {
    this.#done('alarm', 0, 0, 0);
    return new SimAlarm(this.host, callback);
  }

  readonly descriptorLimit = () => this.#world.shape.descriptorLimit;

  readonly pinThread = (cpu: number) => this.#done('pinThread', cpu, 0, 0);

  /** Writes a call to the trace and returns its result. */
  #done(name: string, first: number, second: number, result: number): number {
    if (this.#isDead) this.#world.violations.note(`${this.name}: ${name} after the thread's death`);
    return this.#world.trace.call(this.#thread, name, first, second, result);
  }

  /** A call on a socket. */
  #ask(name: string, fd: number, second: number, call: (socket: SimSocket) => number): number {
    const socket = this.#find(fd, name);
    return this.#done(name, fd, second, typeof socket === 'number' ? socket : call(socket));
  }

  #find(fd: number, use: string): SimSocket | number {
    const description = this.#world.table.find(fd, this.name, use);
    if (description instanceof SimSocket) return description;
    if (description === undefined) return -EBADF;
    this.#world.violations.note(`${this.name}: ${use} of descriptor ${fd}, a ${description.kind}`);
    return -ENOTSOCK;
  }

  #counter(fd: number, use: string): SimEventfd | number {
    const description = this.#world.table.find(fd, this.name, use);
    if (description instanceof SimEventfd) return description;
    if (description === undefined) return -EBADF;
    this.#world.violations.note(`${this.name}: ${use} of descriptor ${fd}, a ${description.kind}`);
    return -EINVAL;
  }

  #open(description: Description): number {
    const room = roomForDescriptor(this.#world);
    return room < 0 ? room : this.#name(description);
  }

  /** Gives a description a number; there is room. */
  #name(description: Description): number {
    const fd = this.#world.table.open(description);
    this.#registry?.set(fd, this.#owner);
    return fd;
  }
}
