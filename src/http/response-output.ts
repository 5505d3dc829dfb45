/**
 * How the responses of one connection reach it. What is emitted while a batch of requests is worked off is gathered in
 * the reactor's scratch and written once; otherwise it is written at once. What the connection does not take is held
 * here, and then nothing more is produced for this peer: its next request waits, and `write` answers `full`.
 */

import type { Connection, WriteResult } from '../api.js';
import type { FileInput } from './body-input.js';
import { GATHER_BYTES, LARGE_BYTES } from './output.js';
import type { Service } from './service.js';

export abstract class ResponseOutput {
  readonly service: Service;
  connection!: Connection;
  /** Refused by a full queue; sent first of all when there is room. At most one response, and what was gathered. */
  #held: Uint8Array[] = [];
  #isBlocked = false;
  #waiters: ((isOpen: boolean) => void)[] = [];
  /** While a batch is worked off, which ends with a flush. */
  protected isInBatch = false;

  constructor(service: Service) {
    this.service = service;
  }

  /** Whether the peer has taken too little of what it was sent. */
  get isOutputBlocked(): boolean {
    return this.#isBlocked;
  }

  /** There is room again, and nothing is held. */
  protected abstract onUnblocked(): void;

  /** Makes the shared scratch this connection's. */
  #own(): void {
    const { service } = this;
    if (service.owner !== this) {
      service.owner?.flush();
      service.owner = this;
    }
  }

  emitText(text: string): void {
    this.#own();
    this.service.output.addText(text);
  }

  /** At most LARGE_BYTES. */
  emitBytes(bytes: Uint8Array): void {
    this.#own();
    this.service.output.addBytes(bytes);
  }

  /** At most LARGE_BYTES. */
  emitUtf8(text: string, byteLength: number): void {
    this.#own();
    this.service.output.addUtf8(text, byteLength);
  }

  emitBody(bytes: Uint8Array): void {
    if (bytes.length > LARGE_BYTES) {
      this.emitLarge(bytes);
    } else {
      this.emitBytes(bytes);
    }
  }

  /** Without a copy: the bytes are the connection's until they are sent. */
  emitLarge(bytes: Uint8Array): void {
    const { connection } = this;
    connection.cork();
    this.flush();
    if (this.#held.length > 0) {
      this.#held.push(bytes);
    } else if (connection.writeOwned(bytes) === 'full') {
      this.#hold(bytes);
    } else {
      this.#limit();
    }
    connection.uncork();
  }

  /** After an emission: outside of a batch it goes out now. */
  afterEmit(): void {
    if (!this.isInBatch) {
      this.service.beginBatch();
      this.flush();
    } else if (this.service.owner === this && this.service.output.length >= GATHER_BYTES) {
      this.flush();
    }
  }

  /** Writes what was gathered. */
  flush(): void {
    const { service } = this;
    if (service.owner !== this) {
      return;
    }
    service.owner = undefined;
    if (service.output.length === 0) {
      return;
    }
    const bytes = service.output.take();
    if (this.#held.length > 0) {
      this.#held.push(Buffer.from(bytes));
      return;
    }
    const result = this.connection.write(bytes);
    if (result === 'full') {
      this.#hold(Buffer.from(bytes));
    } else if (result === 'queued') {
      this.#limit();
    }
  }

  /** A streamed piece: all of it or nothing. What was gathered goes before it, in the same call to the kernel. */
  writePieces(pieces: readonly Uint8Array[]): WriteResult {
    const { connection } = this;
    connection.cork();
    this.flush();
    const result = this.#held.length > 0 ? 'full' : connection.writev(pieces);
    if (result === 'queued') {
      this.#limit();
    }
    connection.uncork();
    // Corked writes are always queued; whether they are still is known now.
    return result === 'queued' && connection.queuedBytes === 0 ? 'sent' : result;
  }

  /** A part of a file: see Connection.sendFile. What was gathered goes before it. */
  writeFile(
    file: FileInput,
    offset: number,
    byteLength: number,
    onDone: (isSent: boolean) => void,
  ): WriteResult {
    const { connection } = this;
    connection.cork();
    this.flush();
    const result =
      this.#held.length > 0 ? 'full' : connection.sendFile(file, offset, byteLength, onDone);
    connection.uncork();
    return result;
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#isBlocked = true;
  }

  /** Above the limit nothing more is produced until onDrain. */
  #limit(): void {
    const { connection } = this;
    if (!this.#isBlocked && connection.queuedBytes > this.service.limits.outputBytesMax) {
      this.#isBlocked = true;
      // Also where the connection's own mark is higher than our limit: this makes sure that it tells.
      void connection.drained().then((isOpen) => {
        if (isOpen && this.connection === connection) {
          this.onDrain();
        }
      });
    }
  }

  /** The connection can take more. */
  onDrain(): void {
    if (!this.#isBlocked) {
      return;
    }
    while (this.#held.length > 0) {
      const [bytes] = this.#held;
      if (this.connection.writeOwned(bytes!) === 'full') {
        return;
      }
      this.#held.shift();
    }
    this.#isBlocked = false;
    // What was held may itself be more than the limit.
    this.#limit();
    if (this.#isBlocked) {
      return;
    }
    for (const resolve of this.#waiters.splice(0)) {
      resolve(true);
    }
    this.onUnblocked();
  }

  drained(): Promise<boolean> {
    if (!this.#isBlocked) {
      return this.connection.drained();
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Bytes that wait for the peer to take them. */
  get waitingBytes(): number {
    let bytes = this.connection.queuedBytes + this.connection.queuedFileBytes;
    for (const held of this.#held) {
      bytes += held.length;
    }
    return bytes;
  }

  /** The connection is gone, or another's. */
  protected dropOutput(): void {
    if (this.service.owner === this) {
      this.service.output.take();
      this.service.owner = undefined;
    }
    this.#isBlocked = false;
    // Each connection comes here at the end of each batch, mostly with neither.
    if (this.#held.length > 0) {
      this.#held = [];
    }
    if (this.#waiters.length > 0) {
      for (const resolve of this.#waiters.splice(0)) {
        resolve(false);
      }
    }
  }
}
