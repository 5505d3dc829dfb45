/**
 * What the inner handler holds of a connection: the face of `Connection` over plaintext. It stands on the transport's
 * connection, whose `context` it is; what TLS does not change is the transport's. One small object for each connection;
 * its buffers are the pipe's, and what is rare is in `rare`.
 */

import type {
  Connection,
  ConnectionState,
  Handler,
  Reactor,
  SocketOptions,
  WriteResult,
} from '../api.js';
import { checkBytes, checkCallback } from '../connection/arguments.js';
import type { BlockPool } from '../connection/block-pool.js';
import { ChunkQueue } from '../connection/chunk-queue.js';
import type { ChunkConsumer, Consumable } from '../connection/extras.js';
import { filePart } from '../connection/file-part.js';
import { HAND_OVER, type HandsOver, SEPARATE } from '../connection/hand-over.js';
import { ConnectionReader, ConnectionWriter } from '../connection/stream.js';
import type { Reader, Writer } from '../streams.js';
import { closeAs, end } from './closing.js';
import {
  BLOCKED,
  CLOSING,
  CORKED,
  END_OWED,
  END_SENT,
  FILING,
  GONE,
  HELD,
  NO_WRITE,
  OPENED,
  PAUSED,
  PEER_ENDED,
  READ_FULL,
  STALLED,
  WOKEN,
} from './connection-flags.js';
import { divertWrites, type TransportWrite } from './divert-writes.js';
import { queuedFileBytes, sendFile } from './file-pump.js';
import { changeHandler, handOver } from './hand-over.js';
import type { Handshake } from './handshake.js';
import type { Layer } from './layer.js';
import { depthOf, type Limits, limitsOf, poolOf, showAs } from './limits.js';
import type { SecureConnection, TlsInfo } from './options.js';
import { clearPause, recall, setPause } from './pause.js';
import { type Pipe, pipeAt } from './pipe.js';
import { type Rare, rareOf } from './rare.js';
import { readerOf } from './read-path.js';
import { current, separate } from './separation.js';
import { SessionInfo } from './session-info.js';
import { flush, queuedBytes, tell, write, writeLinked, writev } from './write-path.js';

const NO_BYTES = new Uint8Array(0);

export class TlsConnection implements SecureConnection, HandsOver, Consumable {
  readonly base: Connection;
  readonly transportWrite: TransportWrite;
  /** Changes when the connection is handed over. */
  layer: Layer;
  readonly pipe: Pipe;
  /** Changes with the handler. */
  limits: Limits;
  /** OpenSSL's object; 0 before the handshake and after the end. */
  ssl = 0;
  /** Where it is noted for whoever comes after this thread. */
  sslNote = -1;
  flags = 0;
  context: unknown = undefined;
  handshake: Handshake | undefined = undefined;
  /** What the client asked for. */
  serverName: string | undefined = undefined;
  reading: ConnectionReader | undefined = undefined;
  rare: Rare | undefined = undefined;
  /** Where it is in the stream of records: see record-walk.ts. */
  recordRest = 0;
  recordsEnded = 0;
  /** Records without data that were not made up for, in sixteenths. */
  idleRecords = 0;
  bytesReceived = 0;
  bytesSent = 0;
  /** Whether the transport did not send the last ciphertext at once. */
  wasQueued = false;
  #info: SessionInfo | undefined = undefined;

  /** Takes the transport's `context` and place, and what is written to it from elsewhere; `from`: see separation.ts. */
  constructor(base: Connection, layer: Layer, from?: TlsConnection) {
    this.context = from === undefined ? base.context : undefined;
    base.context = this;
    this.base = base;
    this.transportWrite = from === undefined ? divertWrites(base) : from.transportWrite;
    this.layer = layer;
    this.pipe = pipeAt(depthOf(base));
    this.limits = limitsOf(base);
    showAs(base, this);
  }

  get tls(): TlsInfo {
    this.#info ??= new SessionInfo(this);
    return this.#info;
  }

  get id(): number {
    return this.base.id;
  }

  get state(): ConnectionState {
    const { state } = this.base;
    if (state === 'closed') {
      return state;
    }
    if ((this.flags & (CLOSING | GONE)) !== 0) {
      return 'closing';
    }
    if ((this.flags & OPENED) === 0) {
      return 'connecting';
    }
    if ((this.flags & END_SENT) !== 0) {
      return 'half-closed-local';
    }
    return (this.flags & PEER_ENDED) !== 0 ? 'half-closed-remote' : state;
  }

  get reactor(): Reactor {
    return this.base.reactor;
  }

  get localAddress(): string {
    return this.base.localAddress;
  }

  get remoteAddress(): string {
    return this.base.remoteAddress;
  }

  /** In ciphertext, but for what is gathered. */
  get queuedBytes(): number {
    return (this.flags & GONE) !== 0 ? 0 : queuedBytes(this);
  }

  get queuedFileBytes(): number {
    return queuedFileBytes(this);
  }

  get isPaused(): boolean {
    return (this.flags & (PAUSED | GONE)) === PAUSED;
  }

  write(data: Uint8Array | string): WriteResult {
    if (typeof data === 'string') {
      return write(this, Buffer.from(data));
    }
    checkBytes('write', data);
    return write(this, data);
  }

  writev(pieces: readonly Uint8Array[]): WriteResult {
    for (const piece of pieces) {
      checkBytes('writev', piece);
    }
    return writev(this, pieces);
  }

  /** Encryption makes a copy of its own: the bytes are free when this returns. */
  writeOwned(bytes: Uint8Array, onFree?: () => void): WriteResult {
    checkBytes('writeOwned', bytes);
    if (onFree !== undefined) {
      checkCallback('writeOwned', onFree);
    }
    const result = write(this, bytes);
    if (onFree !== undefined && (result === 'sent' || result === 'queued')) {
      this.base.reactor.execute(() => onFree());
    }
    return result;
  }

  sendFile(
    file: number | { readonly fd: number },
    offset: number,
    byteLength: number,
    onDone?: (isSent: boolean) => void,
  ): WriteResult {
    const part = filePart(file, offset, byteLength, onDone);
    if (part.left > 0) {
      return sendFile(this, part);
    }
    const result = write(this, NO_BYTES);
    if (onDone !== undefined && (result === 'sent' || result === 'queued')) {
      this.receipt(onDone);
    }
    return result;
  }

  receipt(callback: (handedOver: boolean) => void): void {
    checkCallback('receipt', callback);
    flush(this);
    if ((this.flags & (FILING | GONE)) === FILING) {
      rareOf(this).receipts.push(callback);
    } else {
      tell(this, callback);
    }
  }

  drained(): Promise<boolean> {
    flush(this);
    if ((this.flags & GONE) !== 0) {
      return Promise.resolve(false);
    }
    if ((this.flags & (HELD | STALLED | FILING)) === 0) {
      return this.base.drained();
    }
    this.flags |= BLOCKED;
    return new Promise((resolve) => {
      rareOf(this).waiters.push(resolve);
    });
  }

  cork(): void {
    if ((this.flags & NO_WRITE) === 0) {
      rareOf(this).corkDepth += 1;
      this.flags |= CORKED;
      this.base.cork();
    }
  }

  uncork(): void {
    const { rare } = this;
    if (rare === undefined || rare.corkDepth === 0) {
      return;
    }
    rare.corkDepth -= 1;
    if (rare.corkDepth === 0) {
      this.flags &= ~CORKED;
      flush(this);
    }
    this.base.uncork();
  }

  get reader(): Reader {
    return (this.flags & GONE) === 0 ? readerOf(this) : closedReader(poolOf(this.base));
  }

  get writer(): Writer {
    const rare = rareOf(this);
    if (rare.writer === undefined) {
      const isGone = (this.flags & GONE) !== 0;
      rare.writer = new ConnectionWriter(poolOf(this.base), (buffer) =>
        writeLinked(current(this), buffer),
      );
      if (isGone) {
        rare.writer.close();
      }
    }
    return rare.writer;
  }

  pause(): void {
    if ((this.flags & (CLOSING | GONE)) === 0) {
      setPause(this, PAUSED);
    }
  }

  resume(): void {
    if ((this.flags & (PAUSED | CLOSING | GONE)) !== PAUSED) {
      return;
    }
    if ((this.flags & END_OWED) !== 0 || (this.reading?.length ?? 0) > 0) {
      this.flags &= ~READ_FULL;
      recall(this);
    }
    clearPause(this, PAUSED);
  }

  wake(): void {
    if ((this.flags & (CLOSING | GONE)) === 0) {
      this.flags |= WOKEN;
      recall(this);
    }
  }

  /** close_notify and FIN after what is queued. Receiving goes on. */
  end(): void {
    end(this);
  }

  close(): void {
    closeAs(this, 'closed');
  }

  abort(): void {
    this.flags |= GONE;
    this.base.abort();
  }

  closed(): Promise<void> {
    return this.base.closed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.closed();
  }

  setReadTimeout(milliseconds: number): void {
    this.base.setReadTimeout(milliseconds);
  }

  setWriteTimeout(milliseconds: number): void {
    this.base.setWriteTimeout(milliseconds);
  }

  setIdleTimeout(milliseconds: number): void {
    this.base.setIdleTimeout(milliseconds);
  }

  setTimer(milliseconds: number, callback: (connection: this) => void): number {
    checkCallback('setTimer', callback);
    return this.base.setTimer(milliseconds, () => callback(this));
  }

  clearTimer(timer: number): void {
    this.base.clearTimer(timer);
  }

  setOption<Name extends keyof SocketOptions>(name: Name, value: SocketOptions[Name]): void {
    this.base.setOption(name, value);
  }

  getOption<Name extends keyof SocketOptions>(name: Name): SocketOptions[Name] | undefined {
    return this.base.getOption(name);
  }

  [HAND_OVER](handler: Handler): TlsConnection | undefined {
    return handOver(this, handler);
  }

  handOver(handler: Handler, head?: Uint8Array): boolean {
    if (head !== undefined) {
      checkBytes('handOver', head);
    }
    return changeHandler(this, handler, head);
  }

  [SEPARATE](): TlsConnection | undefined {
    return separate(this);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    const queue = new ChunkQueue(this, this.limits.highWaterMark, this.limits.lowWaterMark);
    this.consume(queue);
    return queue;
  }

  /** Internal: see connection/extras.ts. */
  consume(consumer: ChunkConsumer): void {
    if ((this.flags & (CLOSING | GONE)) !== 0) {
      consumer.close({ code: 'closed', unsentBytes: 0 });
      return;
    }
    const rare = rareOf(this);
    if (rare.consumer !== undefined) {
      throw new TypeError('Cannot iterate over a connection twice');
    }
    rare.consumer = consumer;
    const unread = this.reading?.length ?? 0;
    if (unread > 0) {
      consumer.push(this.reading!.readCopy(unread)!);
    }
    if ((this.flags & (PEER_ENDED | END_OWED)) === PEER_ENDED) {
      consumer.end();
    }
  }

  /** Internal. */
  holdProcess(isWanted: boolean): void {
    (this.base as Connection & Consumable).holdProcess(isWanted);
  }
}

/** A reader that is empty and stays so. */
function closedReader(pool: BlockPool): ConnectionReader {
  const reader = new ConnectionReader(pool);
  reader.close();
  return reader;
}
