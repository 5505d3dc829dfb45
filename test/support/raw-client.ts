/**
 * A peer made of bare system calls, which may misbehave: close one half, reset, never read, send byte by byte, have
 * buffers of almost nothing. `RawClient` connects; `RawListener` gives the clients that connected to it. None of the
 * library is used but the system calls of its kernel and the encoding of addresses.
 */

import assert from 'node:assert/strict';

import { decodeSockaddr, encodeSockaddr, familyOf, parseAddress } from '../../src/base/address.js';
import { EAGAIN, ECONNRESET, EINPROGRESS } from '../../src/base/errno.js';
import {
  AF_UNIX,
  IPPROTO_TCP,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../../src/base/linux.js';
import { SystemError } from '../../src/errors.js';
import { RECEIVE_BYTES, rawPoller } from './raw-poller.js';
import { nextRound } from './until.js';

export interface RawOptions {
  /** SO_RCVBUF, set before connecting so that the window is small from the start. */
  readonly receiveBufferBytes?: number;
  /** SO_SNDBUF. */
  readonly sendBufferBytes?: number;
}

export class RawClient {
  readonly fd: number;
  #isOpen = true;
  /** How often a send had to wait for room. */
  waits = 0;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Resolves when connected; throws a SystemError when refused. */
  static async connect(url: string, options: RawOptions = {}): Promise<RawClient> {
    const { kernel } = rawPoller();
    for (;;) {
      const client = RawClient.connectNow(url, options);
      if (typeof client !== 'number') {
        await rawPoller().writable(client.fd);
        const code = client.takeError();
        if (code === 0) {
          return client;
        }
        kernel.close(client.fd);
        throw new SystemError('connect', code, url);
      }
      if (client !== -EAGAIN) {
        throw new SystemError('connect', -client, url);
      }
      // A Unix listener's backlog is full.
      await nextRound();
    }
  }

  /** Begins to connect, without waiting: on the loopback the kernel is done when this returns. Or -errno. */
  static connectNow(url: string, options: RawOptions = {}): RawClient | number {
    const address = parseAddress(url);
    const family = familyOf(address);
    const { kernel } = rawPoller();
    const fd = kernel.socket(family, SOCK_STREAM, 0);
    if (fd < 0) {
      return fd;
    }
    if (options.receiveBufferBytes !== undefined) {
      kernel.setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, int32(options.receiveBufferBytes));
    }
    if (options.sendBufferBytes !== undefined) {
      kernel.setSocketOption(fd, SOL_SOCKET, SO_SNDBUF, int32(options.sendBufferBytes));
    }
    if (family !== AF_UNIX) {
      // Each send a segment of its own: boundaries arrive as they were made, as far as TCP allows.
      kernel.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, int32(1));
    }
    const n = kernel.connect(fd, encodeSockaddr(address));
    if (n < 0 && n !== -EINPROGRESS) {
      kernel.close(fd);
      return n;
    }
    return new RawClient(fd);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends what fits, never waits: bytes taken (0: no room), or -errno. */
  trySend(bytes: Uint8Array): number {
    const n = rawPoller().kernel.send(this.fd, bytes);
    return n === -EAGAIN ? 0 : n;
  }

  /** Sends all of it, waiting for room; throws a SystemError when the connection is gone. */
  async send(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.byteLength) {
      const n = this.trySend(bytes.subarray(at));
      if (n < 0) {
        throw new SystemError('send', -n);
      }
      at += n;
      if (n === 0) {
        this.waits += 1;
        await rawPoller().writable(this.fd);
      }
    }
  }

  /** Up to `max` bytes that are there, as a view valid until the next receive; empty at the end; or -errno. */
  tryReceive(max: number = RECEIVE_BYTES): Buffer | number {
    const { kernel, received } = rawPoller();
    const bytes = received.bytes.subarray(0, Math.min(max, RECEIVE_BYTES));
    const n = kernel.receive(this.fd, { address: received.address, bytes });
    return n < 0 ? n : bytes.subarray(0, n);
  }

  /**
   * Gives `limit` bytes to `sink`, piece by piece, borrowed; fewer only if the stream ends before. Answers how many it
   * were. Throws a SystemError (ECONNRESET) when the connection is reset.
   */
  async drain(sink: (bytes: Buffer) => void, limit = Number.POSITIVE_INFINITY): Promise<number> {
    let total = 0;
    while (total < limit) {
      const bytes = this.tryReceive(limit - total);
      if (typeof bytes !== 'number') {
        if (bytes.byteLength === 0) {
          return total;
        }
        total += bytes.byteLength;
        sink(bytes);
      } else if (bytes === -EAGAIN) {
        await rawPoller().readable(this.fd);
      } else {
        throw new SystemError('receive', -bytes);
      }
    }
    return total;
  }

  /** `n` bytes, no fewer. */
  async read(n: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const total = await this.drain((bytes) => pieces.push(Buffer.from(bytes)), n);
    assert.equal(total, n, `the stream ended after ${total} of ${n} bytes`);
    return Buffer.concat(pieces);
  }

  /** Everything up to the end of the stream. */
  async readToEnd(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    await this.drain((bytes) => pieces.push(Buffer.from(bytes)));
    return Buffer.concat(pieces);
  }

  /** Reads until the connection is reset; throws if it ends in any other way. Answers the bytes before. */
  async readToReset(): Promise<number> {
    let total = 0;
    try {
      await this.drain((bytes) => {
        total += bytes.byteLength;
      });
    } catch (error) {
      assert.equal((error as SystemError).errno, ECONNRESET, String(error));
      return total;
    }
    throw new Error(`The connection ended in order, after ${total} bytes, and was not reset`);
  }

  /** Resolves when there is something to receive: bytes, the end, or an error. */
  readable(): Promise<void> {
    return rawPoller().readable(this.fd);
  }

  /** The error that the kernel has for this socket, 0 for none. */
  takeError(): number {
    const value = new Uint8Array(4);
    rawPoller().kernel.getSocketOption(this.fd, SOL_SOCKET, SO_ERROR, value);
    return new DataView(value.buffer).getInt32(0, true);
  }

  /** Sends FIN. */
  halfClose(): void {
    rawPoller().kernel.shutdown(this.fd, SHUT_WR);
  }

  close(): void {
    if (this.#isOpen) {
      this.#isOpen = false;
      rawPoller().forget(this.fd);
      rawPoller().kernel.close(this.fd);
    }
  }

  /** Closes with RST. A Unix socket has none: there it is a close. */
  reset(): void {
    if (this.#isOpen) {
      const { kernel } = rawPoller();
      kernel.setSocketOption(
        this.fd,
        SOL_SOCKET,
        SO_LINGER,
        new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]),
      );
      this.close();
    }
  }
}

/** The other way round: a listening socket of a test. */
export class RawListener {
  readonly fd: number;
  readonly url: string;

  /** Listens on port 0 of 127.0.0.1. `options` are those of the sockets that it accepts. */
  constructor(options: RawOptions = {}) {
    const { kernel } = rawPoller();
    const address = parseAddress('tcp://127.0.0.1:0');
    this.fd = kernel.socket(familyOf(address), SOCK_STREAM, 0);
    if (options.receiveBufferBytes !== undefined) {
      kernel.setSocketOption(this.fd, SOL_SOCKET, SO_RCVBUF, int32(options.receiveBufferBytes));
    }
    assert.equal(kernel.bind(this.fd, encodeSockaddr(address)), 0);
    assert.equal(kernel.listen(this.fd, 128), 0);
    const sockaddr = new Uint8Array(128);
    this.url = decodeSockaddr(sockaddr, kernel.getSocketName(this.fd, sockaddr));
  }

  async accept(): Promise<RawClient> {
    for (;;) {
      const n = rawPoller().kernel.accept(this.fd);
      if (n >= 0) {
        return new RawClient(n);
      }
      assert.equal(n, -EAGAIN);
      await rawPoller().readable(this.fd);
    }
  }

  close(): void {
    rawPoller().forget(this.fd);
    rawPoller().kernel.close(this.fd);
  }
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
