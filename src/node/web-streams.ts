/**
 * A connection as the web's streams: bytes in both directions, with back-pressure. The names come from globals, which
 * all versions of Node that we run on have.
 */

import type { ReadableByteStreamController, ReadableStream, WritableStream } from 'node:stream/web';

import type { CloseReason, Connection } from '../api.js';
import { errorOf } from '../connection/chunk-queue.js';
import type { ChunkConsumer, Consumable } from '../connection/extras.js';
import { consumable } from './consumable.js';
import { DuplexWriter } from './duplex-writer.js';

export interface WebStreamsOptions {
  /** Bytes read ahead of the program. 65,536. */
  readableHighWaterMark?: number;
  /** Bytes that may be queued in the connection before a write waits. 65,536. */
  writableHighWaterMark?: number;
}

export interface WebStreams {
  /**
   * A byte stream (readers may bring their own buffers). Ends with the peer's FIN; errors when the connection breaks.
   * `cancel` drops what still comes.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /** A write resolves when the connection has taken it. `close` sends FIN after everything; `abort` resets. */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the connection has closed; never rejects. */
  readonly closed: Promise<CloseReason>;
}

const HIGH_WATER_MARK = 65_536;

/** The streams of an open connection. From then on the connection is theirs, and half-open states are, too. */
export function toWebStreams(connection: Connection, options: WebStreamsOptions = {}): WebStreams {
  const ours = consumable(connection);
  const source = new ByteSource(ours);
  const readable = new globalThis.ReadableStream(
    {
      type: 'bytes',
      start: (controller) => source.start(controller),
      pull: () => source.pull(),
      cancel: () => source.cancel(),
    },
    { highWaterMark: options.readableHighWaterMark ?? HIGH_WATER_MARK },
  ) as ReadableStream<Uint8Array>;
  const writer = new DuplexWriter(ours, options.writableHighWaterMark ?? HIGH_WATER_MARK);
  const writable = new globalThis.WritableStream<Uint8Array>({
    write: (chunk) =>
      whenCalled((callback) => writer.write([checked(chunk)], chunk.length, callback)),
    close: async () => {
      await whenCalled((callback) => writer.end(callback));
      source.writableEnded();
    },
    abort: () => ours.abort(),
    start: (controller) => source.startWritable((error) => controller.error(error)),
  }) as WritableStream<Uint8Array>;
  ours.consume(source);
  return { readable, writable, closed: source.closed };
}

function checked(chunk: unknown): Uint8Array {
  if (!(chunk instanceof Uint8Array)) {
    throw new TypeError(`Expected a Uint8Array to write, got ${typeof chunk}`);
  }
  return chunk;
}

function whenCalled(run: (callback: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => (error ? reject(error) : resolve()));
  });
}

class ByteSource implements ChunkConsumer {
  readonly keepsHalfOpen = true;
  readonly closed: Promise<CloseReason>;
  readonly #connection: Connection & Consumable;
  #resolveClosed: (reason: CloseReason) => void = () => {};
  #controller: ReadableByteStreamController | undefined;
  #failWritable: (error: Error) => void = () => {};
  #isPausing = false;
  /** The readable is closed, cancelled or errored. */
  #isOver = false;
  #isWritableEnded = false;

  constructor(connection: Connection & Consumable) {
    this.#connection = connection;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  start(controller: ReadableByteStreamController): void {
    this.#controller = controller;
  }

  startWritable(fail: (error: Error) => void): void {
    this.#failWritable = fail;
  }

  pull(): void {
    if (this.#isPausing) {
      this.#isPausing = false;
      this.#connection.resume();
    }
  }

  cancel(): void {
    this.#isOver = true;
    this.pull();
    if (this.#isWritableEnded) {
      this.#connection.close();
    }
  }

  writableEnded(): void {
    this.#isWritableEnded = true;
    if (this.#isOver) {
      this.#connection.close();
    }
  }

  push(bytes: Buffer): void {
    if (this.#isOver) {
      return;
    }
    const controller = this.#controller!;
    // The stream takes the memory away, and a pooled one is not ours alone.
    const isOwn = bytes.length === bytes.buffer.byteLength;
    controller.enqueue(isOwn ? bytes : new Uint8Array(bytes));
    if ((controller.desiredSize ?? 0) <= 0 && !this.#isPausing) {
      this.#isPausing = true;
      this.#connection.pause();
    }
  }

  end(): void {
    this.#close();
  }

  close(reason: CloseReason): void {
    const error = errorOf(reason);
    if (error === undefined) {
      this.#close();
    } else if (!this.#isOver) {
      this.#isOver = true;
      this.#controller!.error(error);
    }
    if (!this.#isWritableEnded) {
      this.#failWritable(error ?? new TypeError('The connection is closed'));
    }
    this.#resolveClosed(reason);
  }

  #close(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#controller!.close();
      // A reader that waits with a buffer of its own is told only now.
      this.#controller!.byobRequest?.respond(0);
    }
  }
}
