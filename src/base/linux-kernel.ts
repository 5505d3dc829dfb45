/**
 * The real kernel: libc through FFI, and Node's loop. One instance for each thread that has a reactor.
 *
 * Each method computes lengths from the memory it is given, reads errno as the very next call after a failure, and
 * answers `n >= 0` or `-errno`. See kernel.ts for the contract. This file and ffi.ts are the only ones that touch the
 * clock, timers and randomness of the host.
 */

import type { DescriptorRegistry } from './descriptors.js';
import { EINPROGRESS, EINTR } from './errno.js';
import { addressOf, errno, type Libc, loadLibc } from './ffi.js';
import { changePathMode, isSocketPath, unlinkPath } from './files.js';
import { createDoorbell, HostAlarm } from './host-loop.js';
import type { Alarm, DatagramCalls, Doorbell, Kernel, OnRing, Region, Ring } from './kernel.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from './layout.js';
import * as linux from './linux.js';
import { LinuxDatagrams } from './linux-datagrams.js';
import { makeOurs, readFilePart, sendFilePart } from './linux-files.js';
import type { LinuxKernelOptions } from './linux-kernel-options.js';
import {
  allocateRegion,
  CALL_BYTES_MAX,
  DATA_OFFSET,
  MESSAGE_OFFSET,
  MESSAGE_WORDS,
  SCRATCH_DATA_BYTES,
  scratchOfThread,
  wordsOf,
} from './linux-memory.js';
import { descriptorLimit, pinThread } from './linux-process.js';
import { createRing, enterRing, registerRing, unmapRing } from './linux-ring.js';
import { RandomWords } from './random-words.js';
import type { RegionRegistry } from './region-registry.js';

const PAGE_BYTES = 4096;
export class LinuxKernel implements Kernel {
  readonly name = 'linux';
  readonly datagrams: DatagramCalls;
  readonly unlink = unlinkPath;
  readonly changeMode = changePathMode;
  readonly isSocketFile = isSocketPath;
  readonly #libc: Libc;
  readonly #registry: DescriptorRegistry | undefined;
  readonly #owner: number;
  readonly #regions: RegionRegistry | undefined;
  /** Small structures that a call reads or fills. */
  readonly #scratch: Region;
  readonly #scratchWords: Int32Array;
  readonly #messageLow: Uint32Array;
  readonly #random = new RandomWords();

  constructor(options: LinuxKernelOptions = {}) {
    this.#libc = loadLibc();
    this.datagrams = new LinuxDatagrams(this.#libc);
    this.#registry = options.registry;
    this.#owner = options.owner ?? 0;
    this.#regions = options.regions;
    this.#scratch = scratchOfThread(this.#libc);
    this.#regions?.add(this.#scratch.address);
    this.#scratchWords = wordsOf(this.#scratch);
    this.#messageLow = new Uint32Array(
      this.#scratch.bytes.buffer,
      this.#scratch.bytes.byteOffset + MESSAGE_OFFSET,
      MESSAGE_WORDS,
    );
  }

  allocate(byteLength: number): Region {
    const region = allocateRegion(this.#libc, byteLength);
    this.#regions?.add(region.address);
    return region;
  }

  release(region: Region): void {
    this.#regions?.remove(region.address);
    this.#libc.free(region.address);
  }

  discard(region: Region): void {
    const start = Math.ceil(region.address / PAGE_BYTES) * PAGE_BYTES;
    const end = region.address + region.bytes.length;
    const byteLength = Math.floor((end - start) / PAGE_BYTES) * PAGE_BYTES;
    if (byteLength > 0) {
      this.#libc.madvise(start, byteLength, linux.MADV_DONTNEED);
    }
  }

  allocateBlock(byteLength: number): number {
    return this.#libc.calloc(1, byteLength);
  }

  releaseBlock(address: number): void {
    this.#libc.free(address);
  }

  copyIn(address: number, source: Uint8Array): void {
    this.#libc.memcpyIn(address, source, source.length);
  }

  copyOut(target: Uint8Array, address: number): void {
    this.#libc.memcpyOut(target, address, target.length);
  }

  addressOf(bytes: Uint8Array): number {
    return addressOf(bytes);
  }

  socket(domain: number, type: number, protocol: number): number {
    const flags = linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC;
    return this.#opened(this.#libc.socket(domain, type | flags, protocol));
  }

  bind(fd: number, sockaddr: Uint8Array): number {
    return result(this.#libc.bind(fd, sockaddr, sockaddr.length));
  }

  listen(fd: number, backlog: number): number {
    return result(this.#libc.listen(fd, backlog));
  }

  accept(fd: number): number {
    for (;;) {
      const n = this.#libc.accept4(fd, 0, 0, linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC);
      if (n >= 0) {
        return this.#opened(n);
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  connect(fd: number, sockaddr: Uint8Array): number {
    const n = result(this.#libc.connect(fd, sockaddr, sockaddr.length));
    // An interrupted connect goes on by itself: calling again would give EALREADY (connect(2)).
    return n === -EINTR ? -EINPROGRESS : n;
  }

  receive(fd: number, region: Region): number {
    for (;;) {
      // Not read: it takes the way of files through the kernel, which costs more than the argument (measured).
      const n = this.#libc.recv(fd, region.address, region.bytes.length, 0);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  receiveInto(fd: number, bytes: Uint8Array, length: number): number {
    const most = Math.min(length, bytes.length);
    for (;;) {
      const n = this.#libc.recvBytes(fd, bytes, most, 0);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  send(fd: number, bytes: Uint8Array): number {
    const length = Math.min(bytes.length, CALL_BYTES_MAX);
    for (;;) {
      const n = this.#libc.sendBytes(fd, bytes, length, linux.MSG_NOSIGNAL);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  sendAt(fd: number, address: number, byteLength: number): number {
    const length = Math.min(byteLength, CALL_BYTES_MAX);
    for (;;) {
      const n = this.#libc.send(fd, address, length, linux.MSG_NOSIGNAL);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  sendVector(fd: number, iovecs: Region, count: number): number {
    if (count * 16 > iovecs.bytes.length) {
      throw new RangeError(`${count} iovecs do not lie in ${iovecs.bytes.length} bytes`);
    }
    // Not writev, for MSG_NOSIGNAL. struct msghdr: see layout.ts.
    const message = this.#messageLow;
    message.fill(0);
    message[4] = iovecs.address % 0x1_0000_0000;
    message[5] = Math.floor(iovecs.address / 0x1_0000_0000);
    message[6] = count;
    for (;;) {
      const n = this.#libc.sendmsg(fd, this.#scratch.address + MESSAGE_OFFSET, linux.MSG_NOSIGNAL);
      if (n >= 0) {
        return n;
      }
      const code = errno();
      if (code !== EINTR) {
        return -code;
      }
    }
  }

  sendFile(fd: number, file: number, offset: number, byteLength: number): number {
    return sendFilePart(this.#libc, this.#scratch, fd, file, offset, byteLength);
  }

  readAt(file: number, offset: number, region: Region, start: number, byteLength: number): number {
    return readFilePart(this.#libc, file, offset, region, start, byteLength);
  }

  shutdown(fd: number, how: number): number {
    return result(this.#libc.shutdown(fd, how));
  }

  close(fd: number): number {
    // First: once closed, another thread may get the same number and register it.
    this.#registry?.clear(fd);
    const n = result(this.#libc.close(fd));
    // Linux has freed the number even when it reports EINTR (close(2)).
    return n === -EINTR ? 0 : n;
  }

  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): number {
    return result(this.#libc.setsockopt(fd, level, name, value, value.length));
  }

  getSocketOption(fd: number, level: number, name: number, value: Uint8Array): number {
    const { address } = this.#scratch;
    this.#scratchWords[0] = Math.min(value.length, SCRATCH_DATA_BYTES);
    const n = result(this.#libc.getsockopt(fd, level, name, address + DATA_OFFSET, address));
    return n < 0 ? n : this.#copyScratch(value);
  }

  getSocketName(fd: number, sockaddr: Uint8Array): number {
    const { address } = this.#scratch;
    this.#scratchWords[0] = SCRATCH_DATA_BYTES;
    const n = result(this.#libc.getsockname(fd, address + DATA_OFFSET, address));
    return n < 0 ? n : this.#copyScratch(sockaddr);
  }

  getPeerName(fd: number, sockaddr: Uint8Array): number {
    const { address } = this.#scratch;
    this.#scratchWords[0] = SCRATCH_DATA_BYTES;
    const n = result(this.#libc.getpeername(fd, address + DATA_OFFSET, address));
    return n < 0 ? n : this.#copyScratch(sockaddr);
  }

  adopt(fd: number): number {
    const n = makeOurs(this.#libc, fd);
    if (n >= 0) {
      this.#registry?.set(fd, this.#owner);
    }
    return n;
  }

  duplicate(fd: number): number {
    return this.#opened(this.#libc.fcntl(fd, linux.F_DUPFD_CLOEXEC, 3));
  }

  reserve(): number {
    return this.eventfd();
  }

  epollCreate(): number {
    return this.#opened(this.#libc.epoll_create1(linux.EPOLL_CLOEXEC));
  }

  epollControl(
    epfd: number,
    operation: number,
    fd: number,
    events: number,
    low: number,
    high: number,
  ): number {
    const words = this.#scratchWords;
    words[0] = events;
    words[EPOLL_EVENT_DATA / 4] = low;
    words[EPOLL_EVENT_DATA / 4 + 1] = high;
    return result(this.#libc.epoll_ctl(epfd, operation, fd, this.#scratch.address));
  }

  epollWait(epfd: number, events: Region): number {
    const max = (events.bytes.length / EPOLL_EVENT_SIZE) | 0;
    const n = result(this.#libc.epoll_wait(epfd, events.address, max, 0));
    return n === -EINTR ? 0 : n;
  }

  eventfd(): number {
    return this.#opened(this.#libc.eventfd(0, linux.EFD_CLOEXEC | linux.EFD_NONBLOCK));
  }

  signal(eventfd: number): number {
    const words = this.#scratchWords;
    words[0] = 1;
    words[1] = 0;
    return result(this.#libc.write(eventfd, this.#scratch.address, 8));
  }

  drain(eventfd: number): number {
    return result(this.#libc.read(eventfd, this.#scratch.address, 8));
  }

  ringCreate(sqEntries: number, cqEntries: number, flags: number): Ring | number {
    const ring = createRing(this.#libc, this.#scratch, sqEntries, cqEntries, flags);
    if (typeof ring !== 'number') {
      this.own(ring.fd);
      this.#regions?.addMapping(ring.rings.address, ring.rings.bytes.length);
      this.#regions?.addMapping(ring.sqes.address, ring.sqes.bytes.length);
    }
    return ring;
  }

  ringEnter(fd: number, count: number, flags: number): number {
    return enterRing(this.#libc, fd, count, flags);
  }

  ringRegister(fd: number, operation: number, argument: Uint8Array | undefined, n: number): number {
    return registerRing(this.#libc, fd, operation, argument, n);
  }

  ringClose(ring: Ring): void {
    this.close(ring.fd);
    this.#regions?.removeMapping(ring.rings.address);
    this.#regions?.removeMapping(ring.sqes.address);
    unmapRing(this.#libc, ring);
  }

  unmap(address: number, byteLength: number): void {
    this.#libc.munmap(address, byteLength);
  }

  own(fd: number): void {
    this.#registry?.set(fd, this.#owner);
  }

  now(): number {
    this.#libc.clock_gettime(linux.CLOCK_MONOTONIC, this.#scratch.address);
    const words = this.#scratchWords;
    // struct timespec is two 64-bit words; the high half of the seconds stays 0 for 68 years of uptime.
    return words[0] * 1000 + words[2] / 1e6;
  }

  random(): number {
    return this.#random.next();
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  doorbell(fd: number, onRing: OnRing, signals?: readonly number[]): Doorbell {
    return createDoorbell(this.#libc, this, fd, onRing, signals);
  }

  alarm(callback: () => void): Alarm {
    return new HostAlarm(callback);
  }

  descriptorLimit(): number {
    return descriptorLimit(this.#libc, this.#scratch);
  }

  pinThread(cpu: number): number {
    return pinThread(this.#libc, this.#scratch, cpu);
  }

  #opened(n: number): number {
    if (n < 0) {
      return -errno();
    }
    this.#registry?.set(n, this.#owner);
    return n;
  }

  #copyScratch(target: Uint8Array): number {
    const n = Math.min(this.#scratchWords[0], target.length, SCRATCH_DATA_BYTES);
    target.set(this.#scratch.bytes.subarray(DATA_OFFSET, DATA_OFFSET + n));
    return n;
  }
}

function result(n: number): number {
  return n < 0 ? -errno() : n;
}
