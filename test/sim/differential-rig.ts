/**
 * What the scripts of the differential test run on: shorthands over one kernel, real or simulated, which log each
 * result. Ports and descriptors differ between kernels and are never logged. Called by sim-vs-linux.test.ts.
 */

import type { Kernel, Region } from '../../src/base/kernel.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../../src/base/layout.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLL_CTL_ADD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../src/base/linux.js';

export interface Script {
  readonly name: string;
  readonly needsIpv6?: boolean;
  run(rig: Rig): void;
}

/** A connection with both of its ends in this process. */
export interface Pair {
  readonly listener: number;
  readonly client: number;
  readonly server: number;
}

const DEADLINE_MS = 2000;
const BUFFER_BYTES = 262_144;
const pause = new Int32Array(new SharedArrayBuffer(4));
let names = 0;

export class Rig {
  readonly kernel: Kernel;
  readonly directory: string;
  readonly log: string[] = [];
  readonly #settle: (() => void) | undefined;
  readonly #expected: readonly string[] | undefined;
  readonly #open = new Set<number>();
  readonly #buffer: Region;
  readonly #serial = names++;

  /** `expected` is what the observations are repeated for, up to the deadline. */
  constructor(
    kernel: Kernel,
    directory: string,
    settle: (() => void) | undefined,
    expected?: readonly string[],
  ) {
    this.kernel = kernel;
    this.directory = directory;
    this.#settle = settle;
    this.#expected = expected;
    this.#buffer = kernel.allocate(BUFFER_BYTES);
  }

  finish(): void {
    for (const fd of this.#open) this.kernel.close(fd);
    this.kernel.release(this.#buffer);
  }

  /** Logs `label` with a result, given as it is. */
  note(label: string, result: number | string): void {
    this.log.push(`${label}: ${result}`);
  }

  /** Logs what `observe` says; it must not change anything, since it may be called several times. */
  observe(label: string, observe: () => number | string): void {
    this.#settle?.();
    const wanted = this.#expected?.[this.log.length];
    const until = Date.now() + DEADLINE_MS;
    let line = `${label}: ${observe()}`;
    while (wanted !== undefined && line !== wanted && Date.now() < until) {
      Atomics.wait(pause, 0, 0, 1);
      line = `${label}: ${observe()}`;
    }
    this.log.push(line);
  }

  /** Lets the network do what has been begun; the real one gets a few milliseconds for it. */
  settle(): void {
    if (this.#settle === undefined) Atomics.wait(pause, 0, 0, 3);
    else this.#settle();
  }

  /** Logs the epoll events of a descriptor, whatever they are. */
  mask(label: string, fd: number): void {
    this.observe(label, () => `0x${this.eventsOf(fd).toString(16)}`);
  }

  eventsOf(fd: number): number {
    const { kernel } = this;
    const epfd = kernel.epollCreate();
    kernel.epollControl(epfd, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 0, 0);
    const events = this.wait(epfd, 1)[0];
    kernel.close(epfd);
    return events === undefined ? 0 : events.events;
  }

  /** What one epollWait with room for `max` events gives. */
  wait(epfd: number, max: number): { events: number; low: number; high: number }[] {
    const { address, bytes } = this.#buffer;
    const n = this.kernel.epollWait(epfd, {
      address,
      bytes: bytes.subarray(0, max * EPOLL_EVENT_SIZE),
    });
    const found: { events: number; low: number; high: number }[] = [];
    for (let i = 0; i < n; i++) {
      const at = i * EPOLL_EVENT_SIZE;
      found.push({
        events: bytes.readUInt32LE(at),
        low: bytes.readUInt32LE(at + EPOLL_EVENT_DATA),
        high: bytes.readUInt32LE(at + EPOLL_EVENT_DATA + 4),
      });
    }
    return found;
  }

  socket(domain: number): number {
    return this.keep(this.kernel.socket(domain, SOCK_STREAM, 0));
  }

  /** Notes a descriptor to be closed at the end. */
  keep(fd: number): number {
    if (fd >= 0) this.#open.add(fd);
    return fd;
  }

  close(fd: number): number {
    this.#open.delete(fd);
    return this.kernel.close(fd);
  }

  send(fd: number, text: string): number {
    return this.kernel.send(fd, Buffer.from(text));
  }

  /** The bytes received as text, or the error. */
  receive(fd: number, max = 100): string {
    const { address, bytes } = this.#buffer;
    const n = this.kernel.receive(fd, { address, bytes: bytes.subarray(0, max) });
    return n < 0 ? String(n) : `'${bytes.toString('latin1', 0, n)}'`;
  }

  /** Sends until the kernel takes no more; returns the number of bytes. */
  fill(fd: number): number {
    const chunk = Buffer.alloc(65_536);
    let total = 0;
    let refusals = 0;
    // The real network goes on taking for a while: it must refuse several times in a row.
    while (refusals < 5) {
      const n = this.kernel.send(fd, chunk);
      if (n > 0) {
        total += n;
        refusals = 0;
        continue;
      }
      refusals++;
      this.#settle?.();
      if (this.#settle === undefined) Atomics.wait(pause, 0, 0, 2);
    }
    return total;
  }

  /** Receives `total` bytes, waiting for them. */
  drain(fd: number, total: number): number {
    let left = total;
    const until = Date.now() + DEADLINE_MS;
    while (left > 0 && Date.now() < until) {
      const n = this.kernel.receive(fd, this.#buffer);
      if (n > 0) left -= n;
      this.#settle?.();
    }
    return left;
  }

  /** A bound and listening socket with its address. */
  listen(domain: number, backlog = 16): { fd: number; address: Uint8Array } {
    const fd = this.socket(domain);
    const wanted = domain === AF_UNIX ? this.abstractName() : loopback(domain, 0);
    must(this.kernel.bind(fd, wanted));
    must(this.kernel.listen(fd, backlog));
    return { fd, address: this.nameOf(fd) };
  }

  /** An address that nobody listens on. */
  unused(domain: number): Uint8Array {
    const { fd, address } = this.listen(domain);
    this.close(fd);
    return address;
  }

  connect(domain: number, address: Uint8Array): number {
    const fd = this.socket(domain);
    this.kernel.connect(fd, address);
    this.#settle?.();
    return fd;
  }

  /** Accepts, waiting for the connection. */
  accept(fd: number): number {
    this.#settle?.();
    const until = Date.now() + DEADLINE_MS;
    for (;;) {
      const accepted = this.kernel.accept(fd);
      if (accepted >= 0) return this.keep(accepted);
      if (Date.now() > until) throw new Error(`nothing to accept: ${accepted}`);
    }
  }

  pair(domain: number): Pair {
    const { fd: listener, address } = this.listen(domain);
    const client = this.connect(domain, address);
    const server = this.accept(listener);
    return { listener, client, server };
  }

  nameOf(fd: number): Uint8Array {
    const bytes = new Uint8Array(128);
    return bytes.slice(0, must(this.kernel.getSocketName(fd, bytes)));
  }

  /** The peer's address in hexadecimal, or the error. */
  peerOf(fd: number): string {
    const bytes = new Uint8Array(128);
    const n = this.kernel.getPeerName(fd, bytes);
    return n < 0 ? String(n) : hex(bytes.subarray(0, n));
  }

  setOption(fd: number, level: number, name: number, ...words: number[]): number {
    const value = new Uint8Array(Int32Array.from(words).buffer);
    return this.kernel.setSocketOption(fd, level, name, value);
  }

  /** An option of one or more 32-bit words as text, or the error. */
  option(fd: number, level: number, name: number, byteLength = 4): string {
    const value = new Uint8Array(byteLength);
    const n = this.kernel.getSocketOption(fd, level, name, value);
    return n < 0 ? String(n) : new Int32Array(value.buffer, 0, n >> 2).join(',');
  }

  pendingError(fd: number): string {
    return this.option(fd, SOL_SOCKET, 4);
  }

  /** A new abstract Unix name, of the same length each time. */
  abstractName(): Uint8Array {
    const serial = String(this.#serial * 1000 + names++).padStart(8, '0');
    return unixAddress(`\0millrace-${process.pid}-${serial}`);
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }
}

export function loopback(domain: number, port: number, last = 1): Uint8Array {
  const bytes = new Uint8Array(domain === AF_INET ? 16 : 28);
  bytes[0] = domain;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (domain === AF_INET) bytes.set([127, 0, 0, last], 4);
  else bytes[23] = last;
  return bytes;
}

export function portOf(address: Uint8Array): number {
  return (address[2]! << 8) | address[3]!;
}

/** An IPv6 address of the form ::ffff:127.0.0.1. */
export function mapped(port: number): Uint8Array {
  const bytes = loopback(AF_INET6, port, 0);
  bytes.set([0xff, 0xff, 127, 0, 0, 1], 18);
  return bytes;
}

export function unixAddress(name: string): Uint8Array {
  const isAbstract = name.charCodeAt(0) === 0;
  const bytes = Buffer.alloc(2 + name.length + (isAbstract ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.write(name, 2, 'latin1');
  return bytes;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function must(result: number): number {
  if (result < 0) throw new Error(`a call failed with ${result}`);
  return result;
}
