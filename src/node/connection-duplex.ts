/**
 * A connection as a Node stream that looks like a `net.Socket`: what `http`, `http2`, `tls` and `ws` call on sockets is
 * there and does the same. Reading pauses the connection while the stream is full, writes wait for it
 * (duplex-writer.ts), half-close is the stream's. There is no `_handle`: native code of Node takes its way for streams.
 */

import { Duplex } from 'node:stream';

import type { CloseReason, Connection } from '../api.js';
import { errorOf } from '../connection/chunk-queue.js';
import type { ChunkConsumer, Consumable } from '../connection/extras.js';
import { consumable } from './consumable.js';
import { DuplexWriter } from './duplex-writer.js';
import { guard } from './guard.js';
import { InactivityTimer } from './inactivity-timer.js';
import { type SocketAddress, socketAddressOf } from './socket-address.js';

export interface DuplexOptions {
  /** Do not answer the peer's FIN with ours: the program calls `end` itself. false, as with `net.Socket`. */
  allowHalfOpen?: boolean;
  /** Bytes read ahead of the program. 65,536. */
  readableHighWaterMark?: number;
  /** Bytes that wait here, and as many in the connection, before `write` answers false. 65,536. */
  writableHighWaterMark?: number;
  /**
   * `destroy` before `end` resets the connection, so that the peer sees that not everything came. false: as with
   * `net.Socket`, what was taken is sent and FIN follows; `resetAndDestroy` resets.
   */
  abortOnDestroy?: boolean;
}

const HIGH_WATER_MARK = 65_536;
/** What libuv sets with TCP_KEEPIDLE when Node asks for a delay. */
const KEEP_ALIVE = { intervalSeconds: 1, count: 10 };

type TlsFacts = { readonly alpn: string | undefined; readonly serverName: string | undefined };

/** The stream of an open connection. From then on the connection is the stream's. */
export function toDuplex(connection: Connection, options: DuplexOptions = {}): ConnectionDuplex {
  const duplex = new ConnectionDuplex(options);
  duplex.attach(connection);
  return duplex;
}

export class ConnectionDuplex extends Duplex {
  #connection: (Connection & Consumable) | undefined;
  #writer: DuplexWriter | undefined;
  readonly #abortOnDestroy: boolean;
  readonly #inactivity = new InactivityTimer(() => guard(() => this.emit('timeout')));
  #isPausing = false;
  #holdsProcess = true;
  #writingBytes = 0;
  /** Options that were set before there was a connection. */
  #early: (() => void)[] = [];
  /** As of `net.Socket`: bytes that were received. */
  bytesRead = 0;
  connecting = false;
  /** The server of Node that it was given to. */
  server: unknown = undefined;

  /** Made by `toDuplex`, `connect` and `nodeHandler`. */
  constructor(options: DuplexOptions = {}) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      readableHighWaterMark: options.readableHighWaterMark ?? HIGH_WATER_MARK,
      writableHighWaterMark: options.writableHighWaterMark ?? HIGH_WATER_MARK,
      // As net.Socket does, to tell listeners whether there was an error.
      emitClose: false,
    });
    this.#abortOnDestroy = options.abortOnDestroy ?? false;
  }

  /** Internal: the connection is there. */
  attach(connection: Connection): void {
    const ours = consumable(connection);
    this.#connection = ours;
    this.#writer = new DuplexWriter(ours, this.writableHighWaterMark);
    this.connecting = false;
    ours.consume(new Sink(this));
    this.#inactivity.attach(ours);
    if (!this.#holdsProcess) {
      ours.holdProcess(false);
    }
    for (const set of this.#early.splice(0)) {
      set();
    }
  }

  /** The connection underneath; undefined while connecting. Its bytes are the stream's. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  // The connection's side.

  /** Internal. */
  received(bytes: Buffer): void {
    if (this.destroyed) {
      return;
    }
    this.bytesRead += bytes.length;
    this.#inactivity.refresh();
    guard(() => {
      if (!this.push(bytes) && !this.#isPausing) {
        this.#isPausing = true;
        this.#connection!.pause();
      }
    });
  }

  /** Internal. */
  receiveEnded(): void {
    if (!this.destroyed) {
      guard(() => this.push(null));
    }
  }

  /** Internal. */
  connectionClosed(reason: CloseReason): void {
    this.#inactivity.stop();
    if (!this.#holdsProcess) {
      this.#connection!.holdProcess(true);
    }
    const error = errorOf(reason);
    // What ended in order may still have bytes here to be read.
    if (error !== undefined || reason.code !== 'ended' || !this.writableEnded) {
      guard(() => this.destroy(error));
    }
  }

  // The stream's side.

  override _read(): void {
    if (this.#isPausing) {
      this.#isPausing = false;
      this.#connection!.resume();
    }
  }

  override _write(
    chunk: Buffer,
    _encoding: string,
    callback: (error?: Error | null) => void,
  ): void {
    this.#write([chunk], chunk.length, callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    const pieces = chunks.map(({ chunk }) => chunk);
    const byteLength = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#write(pieces, byteLength, callback);
  }

  #write(pieces: Buffer[], byteLength: number, callback: (error?: Error | null) => void): void {
    this.#inactivity.refresh();
    this.#writingBytes = byteLength;
    this.#writer!.write(pieces, byteLength, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#writer === undefined) {
      callback();
    } else {
      this.#writer.end(callback);
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const connection = this.#connection;
    this.#inactivity.stop();
    if (connection !== undefined) {
      if (this.#abortOnDestroy && !this.writableFinished) {
        connection.abort();
      } else {
        connection.close();
        if (connection.queuedBytes === 0) {
          // It only waits for the peer's FIN: a process need not stay for that.
          this.unref();
        }
      }
    }
    callback(error);
    process.nextTick(() => this.emit('close', error !== null));
  }

  /** Sends what was written, then closes. */
  destroySoon(): void {
    if (this.writable) {
      this.end();
    }
    if (this.writableFinished) {
      this.destroy();
    } else {
      this.once('finish', () => this.destroy());
    }
  }

  /** Closes with RST. */
  resetAndDestroy(): this {
    this.#connection?.abort();
    return this.destroy();
  }

  // What net.Socket has besides.

  get bytesWritten(): number {
    const writer = this.#writer;
    if (writer === undefined) {
      return this.writableLength;
    }
    // What is being written is still in the stream's length, however much of it the connection has.
    return writer.taken + Math.max(0, this.writableLength - this.#writingBytes);
  }

  get pending(): boolean {
    return this.#connection === undefined;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) {
      return 'opening';
    }
    if (this.readable) {
      return this.writable ? 'open' : 'readOnly';
    }
    return this.writable ? 'writeOnly' : 'closed';
  }

  get remoteAddress(): string | undefined {
    return this.#remote?.address;
  }

  get remoteFamily(): string | undefined {
    return this.#remote?.family;
  }

  get remotePort(): number | undefined {
    return this.#remote?.port;
  }

  get localAddress(): string | undefined {
    return this.#local?.address;
  }

  get localFamily(): string | undefined {
    return this.#local?.family;
  }

  get localPort(): number | undefined {
    return this.#local?.port;
  }

  address(): SocketAddress | Record<string, never> {
    return this.#local ?? {};
  }

  get #remote(): SocketAddress | undefined {
    return socketAddressOf(this.#connection?.remoteAddress ?? '');
  }

  get #local(): SocketAddress | undefined {
    return socketAddressOf(this.#connection?.localAddress ?? '');
  }

  /** Over a connection of millrace/tls: what tls.TLSSocket tells of it, as far as HTTP asks. */
  get encrypted(): boolean {
    return this.#tls !== undefined;
  }

  get alpnProtocol(): string | false | undefined {
    const tls = this.#tls;
    return tls === undefined ? undefined : (tls.alpn ?? false);
  }

  get servername(): string | false | undefined {
    const tls = this.#tls;
    return tls === undefined ? undefined : (tls.serverName ?? false);
  }

  get #tls(): TlsFacts | undefined {
    return (this.#connection as { tls?: TlsFacts } | undefined)?.tls;
  }

  /** Milliseconds of inactivity after which `timeout` is emitted; 0: never. */
  get timeout(): number {
    return this.#inactivity.timeoutMs;
  }

  setTimeout(milliseconds: number, callback?: () => void): this {
    this.#inactivity.set(milliseconds);
    if (callback !== undefined) {
      if (milliseconds === 0) {
        this.removeListener('timeout', callback);
      } else {
        this.once('timeout', callback);
      }
    }
    return this;
  }

  setNoDelay(enable = true): this {
    return this.#set(() => this.#connection!.setOption('noDelay', enable));
  }

  setKeepAlive(enable = false, initialDelayMs = 0): this {
    const idleSeconds = Math.floor(initialDelayMs / 1_000);
    const value = enable && idleSeconds > 0 ? { ...KEEP_ALIVE, idleSeconds } : enable;
    return this.#set(() => this.#connection!.setOption('keepAlive', value));
  }

  #set(set: () => void): this {
    if (this.#connection === undefined) {
      this.#early.push(set);
    } else {
      set();
    }
    return this;
  }

  /** Holds the process, where connections do: see `dial`. */
  ref(): this {
    return this.#hold(true);
  }

  unref(): this {
    return this.#hold(false);
  }

  #hold(isWanted: boolean): this {
    if (this.#holdsProcess !== isWanted) {
      this.#holdsProcess = isWanted;
      this.#connection?.holdProcess(isWanted);
    }
    return this;
  }
}

/** Takes the connection's bytes for a stream. */
class Sink implements ChunkConsumer {
  readonly keepsHalfOpen = true;
  readonly #duplex: ConnectionDuplex;

  constructor(duplex: ConnectionDuplex) {
    this.#duplex = duplex;
  }

  push(bytes: Buffer): void {
    this.#duplex.received(bytes);
  }

  end(): void {
    this.#duplex.receiveEnded();
  }

  close(reason: CloseReason): void {
    this.#duplex.connectionClosed(reason);
  }
}
