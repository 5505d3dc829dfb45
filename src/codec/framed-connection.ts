/** A connection that sends and receives messages: what the hooks of `framed` are given. */

import type { CloseReason, Connection, ConnectionState, Reactor, WriteResult } from '../api.js';
import type { FrameDecoder } from './frame-decoder.js';
import type { FrameError } from './frame-error.js';
import type { FramedLayer } from './framed-layer.js';
import { sendFrame } from './send-frame.js';

export interface FramedConnection<Out, Context = unknown> extends AsyncDisposable {
  /** What carries the frames. Its `context` is this object; to pause and resume, call these here. */
  readonly connection: Connection;
  /** Anything of the user's. At first what `dial` or an earlier handler put into the connection's. */
  context: Context;
  readonly id: number;
  readonly state: ConnectionState;
  readonly reactor: Reactor;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Bytes accepted and not yet handed to the kernel. */
  readonly queuedBytes: number;
  readonly isPaused: boolean;
  /** Bytes kept: of a frame that is not complete, and of frames that a pause left. */
  readonly keptBytes: number;
  /**
   * Sends a message as one frame, or takes nothing of it (`full`, `closed`).
   *
   * @throws RangeError, TypeError for a message that no frame can carry; what the codec's `encode` throws.
   */
  send(message: Out): WriteResult;
  /** No more frames, also none of those that have been received already, until `resume`. */
  pause(): void;
  resume(): void;
  /** Messages between `cork` and `uncork` go out together. Calls nest. */
  cork(): void;
  uncork(): void;
  /** See `Connection`: when below the low-water mark; FIN; graceful close; reset. */
  drained(): Promise<boolean>;
  end(): void;
  close(): void;
  abort(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export class FramedSocket<In, Out, Context> implements FramedConnection<Out, Context> {
  readonly connection: Connection;
  readonly layer: FramedLayer<In, Out, Context>;
  context: Context;
  /** Only while a frame is incomplete, or a pause has left some. */
  decoder: FrameDecoder<In> | undefined = undefined;
  /** Why we have closed it. */
  failure: FrameError | undefined = undefined;

  constructor(connection: Connection, layer: FramedLayer<In, Out, Context>) {
    this.connection = connection;
    this.layer = layer;
    this.context = connection.context as Context;
    connection.context = this;
  }

  get id(): number {
    return this.connection.id;
  }

  get state(): ConnectionState {
    return this.connection.state;
  }

  get reactor(): Reactor {
    return this.connection.reactor;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get queuedBytes(): number {
    return this.connection.queuedBytes;
  }

  get isPaused(): boolean {
    return this.connection.isPaused;
  }

  get keptBytes(): number {
    return this.decoder?.keptBytes ?? 0;
  }

  send(message: Out): WriteResult {
    const result = sendFrame(this.connection, this.layer.codec, message);
    if (result === 'sent' || result === 'queued') {
      this.layer.stats.framesSent += 1;
    }
    return result;
  }

  pause(): void {
    this.connection.pause();
  }

  resume(): void {
    this.connection.resume();
    if (this.decoder?.isStopped === true) {
      this.connection.wake();
    }
  }

  cork(): void {
    this.connection.cork();
  }

  uncork(): void {
    this.connection.uncork();
  }

  drained(): Promise<boolean> {
    return this.connection.drained();
  }

  end(): void {
    this.connection.end();
  }

  close(): void {
    this.connection.close();
  }

  abort(): void {
    this.connection.abort();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connection[Symbol.asyncDispose]();
  }

  /** The reason as the user is told: bad frames are the peer's doing. */
  reasonOf(reason: CloseReason): CloseReason {
    return this.failure === undefined
      ? reason
      : { code: 'error', error: this.failure, unsentBytes: reason.unsentBytes };
  }
}
