/**
 * The other side of a connection as a bare descriptor: nothing is read, sent, ended or reset but what a test says, and
 * everything but waiting is one system call, so that a test can act in the midst of a handler of the same thread.
 */

import { type Address, encodeSockaddr, parseAddress } from '../../src/base/address.js';
import { EAGAIN, EINPROGRESS, ENOTCONN, errnoName } from '../../src/base/errno.js';
import type { Region } from '../../src/base/kernel.js';
import {
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { awaitCondition } from './await-condition.js';

/** Without a registry: what a test opens is not the library's. */
export const rawKernel = new LinuxKernel();

const RECEIVE_BYTES = 262_144;
const LINGER_RESET = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

let scratch: Region | undefined;

export interface RawPeerOptions {
  readonly receiveBufferBytes?: number;
  readonly sendBufferBytes?: number;
  /** Bound to first. */
  readonly localAddress?: string;
}

/** How a peer's stream ended: with a FIN, or with an error such as `ECONNRESET`. */
export interface Ending {
  readonly bytes: Buffer;
  readonly end: string;
}

export class RawPeer {
  readonly fd: number;
  #isClosed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Connects without waiting for the answer; see `connected`. */
  static begin(url: string, options: RawPeerOptions = {}): RawPeer {
    const sockaddr = sockaddrOf(url);
    const peer = new RawPeer(expectCall('socket', rawKernel.socket(sockaddr[0]!, SOCK_STREAM, 0)));
    peer.#setSize(SO_RCVBUF, options.receiveBufferBytes);
    peer.#setSize(SO_SNDBUF, options.sendBufferBytes);
    if (options.localAddress !== undefined) {
      expectCall('bind', rawKernel.bind(peer.fd, sockaddrOf(options.localAddress)));
    }
    const n = rawKernel.connect(peer.fd, sockaddr);
    if (n < 0 && n !== -EINPROGRESS) {
      peer.close();
      expectCall('connect', n);
    }
    return peer;
  }

  static async connect(url: string, options: RawPeerOptions = {}): Promise<RawPeer> {
    const peer = RawPeer.begin(url, options);
    await awaitCondition(() => peer.isConnected, `a connection to ${url}`);
    return peer;
  }

  static connectMany(url: string, count: number): Promise<RawPeer[]> {
    return Promise.all(Array.from({ length: count }, () => RawPeer.connect(url)));
  }

  /** Throws when the connect was refused. */
  get isConnected(): boolean {
    const value = new Uint8Array(4);
    expectCall('getsockopt', rawKernel.getSocketOption(this.fd, SOL_SOCKET, SO_ERROR, value));
    if (value[0] !== 0) {
      expectCall('connect', -value[0]!);
    }
    return rawKernel.getPeerName(this.fd, new Uint8Array(128)) !== -ENOTCONN;
  }

  /** Sends what the kernel takes: bytes taken, 0 if it would block, or -errno. */
  send(data: Uint8Array | string): number {
    const n = rawKernel.send(this.fd, Buffer.from(data));
    return n === -EAGAIN ? 0 : n;
  }

  async sendAll(data: Uint8Array | string): Promise<void> {
    const bytes = Buffer.from(data);
    let at = 0;
    while (at < bytes.byteLength) {
      const n = expectCall('send', this.send(bytes.subarray(at)));
      at += n;
      if (n === 0) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  /** What is there now: bytes, undefined for nothing, or how the stream ended (`end` or an errno's name). */
  receive(byteLength = RECEIVE_BYTES): Buffer | string | undefined {
    scratch ??= rawKernel.allocate(RECEIVE_BYTES);
    const bytes = scratch.bytes.subarray(0, Math.min(byteLength, RECEIVE_BYTES));
    const n = rawKernel.receive(this.fd, { address: scratch.address, bytes });
    if (n > 0) {
      return Buffer.from(bytes.subarray(0, n));
    }
    return n === 0 ? 'end' : n === -EAGAIN ? undefined : errnoName(-n);
  }

  /** Exactly so many bytes. */
  async read(byteLength: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = byteLength;
    while (missing > 0) {
      const part = await this.#next(missing);
      if (typeof part === 'string') {
        throw new Error(`Expected ${missing} more bytes, got ${part}`);
      }
      parts.push(part);
      missing -= part.byteLength;
    }
    return Buffer.concat(parts);
  }

  async readToEnd(): Promise<Ending> {
    const parts: Buffer[] = [];
    for (;;) {
      const part = await this.#next(RECEIVE_BYTES);
      if (typeof part === 'string') {
        return { bytes: Buffer.concat(parts), end: part };
      }
      parts.push(part);
    }
  }

  async #next(byteLength: number): Promise<Buffer | string> {
    let part: Buffer | string | undefined;
    await awaitCondition(() => {
      part = this.receive(byteLength);
      return part !== undefined;
    }, 'something to receive');
    return part!;
  }

  /** Sends FIN. */
  end(): void {
    rawKernel.shutdown(this.fd, SHUT_WR);
  }

  /** Closes with RST. */
  reset(): void {
    rawKernel.setSocketOption(this.fd, SOL_SOCKET, SO_LINGER, LINGER_RESET);
    this.close();
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      rawKernel.close(this.fd);
    }
  }

  #setSize(option: number, byteLength: number | undefined): void {
    if (byteLength !== undefined) {
      const value = new Uint8Array(new Int32Array([byteLength]).buffer);
      expectCall('setsockopt', rawKernel.setSocketOption(this.fd, SOL_SOCKET, option, value));
    }
  }
}

/** A listening descriptor that accepts only when it is told to. */
export class RawListener {
  readonly fd: number;
  readonly url: string;

  private constructor(fd: number, url: string) {
    this.fd = fd;
    this.url = url;
  }

  static listen(url: string, backlog = 128): RawListener {
    const sockaddr = sockaddrOf(url);
    const fd = expectCall('socket', rawKernel.socket(sockaddr[0]!, SOCK_STREAM, 0));
    expectCall('bind', rawKernel.bind(fd, sockaddr));
    expectCall('listen', rawKernel.listen(fd, backlog));
    const port = portOf(fd);
    return new RawListener(fd, url.replace(/:0$/, `:${port}`));
  }

  /** A descriptor, or -errno. */
  accept(): number {
    return rawKernel.accept(this.fd);
  }

  close(): void {
    rawKernel.close(this.fd);
  }
}

/** A port of this host that nobody listens on. */
export function freePort(host = '127.0.0.1'): number {
  const listener = RawListener.listen(`tcp://${host}:0`);
  listener.close();
  return Number(listener.url.slice(listener.url.lastIndexOf(':') + 1));
}

function portOf(fd: number): number {
  const name = new Uint8Array(128);
  expectCall('getsockname', rawKernel.getSocketName(fd, name));
  return name[2]! * 256 + name[3]!;
}

function sockaddrOf(url: string): Uint8Array {
  return encodeSockaddr(parseAddress(url) as Exclude<Address, { kind: 'fd' | 'systemd' }>);
}

function expectCall(syscall: string, n: number): number {
  if (n < 0) {
    throw Object.assign(new Error(`${syscall}: ${errnoName(-n)}`), { code: errnoName(-n) });
  }
  return n;
}
