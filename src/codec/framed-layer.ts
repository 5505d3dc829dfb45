/**
 * What the connections of one framed handler have in common: codec, hooks, counters; and the way from received bytes to
 * the hooks. One object serves all connections of a thread: the one whose bytes are being decoded is `#current`.
 */

import type { Action, Connection } from '../api.js';
import type { Codec } from './codec.js';
import { type FrameConsumer, FrameDecoder } from './frame-decoder.js';
import type { FrameError } from './frame-error.js';
import type { FramedHooks } from './framed.js';
import { FramedSocket } from './framed-connection.js';

/** What was counted since the handler was made, by this thread. */
export interface FrameStats {
  framesReceived: number;
  framesSent: number;
  /** Frames that were longer than allowed, and streams that no frame could begin with. */
  framesTooLong: number;
  framesCorrupt: number;
  /** Streams that ended in the midst of a frame. */
  framesTruncated: number;
  /** Frames whose payload the codec could not decode. */
  framesUndecodable: number;
  /** Of all these, those that `onFrameError` passed over; for the others the connection was closed. */
  framesSkipped: number;
}

const COUNTER_OF = {
  ERR_FRAME_TOO_LONG: 'framesTooLong',
  ERR_FRAME_CORRUPT: 'framesCorrupt',
  ERR_FRAME_TRUNCATED: 'framesTruncated',
  ERR_FRAME_DECODE: 'framesUndecodable',
} as const;

export class FramedLayer<In, Out, Context> implements FrameConsumer<In> {
  readonly codec: Codec<In, Out>;
  readonly hooks: FramedHooks<In, Out, Context>;
  readonly stats: FrameStats = {
    framesReceived: 0,
    framesSent: 0,
    framesTooLong: 0,
    framesCorrupt: 0,
    framesTruncated: 0,
    framesUndecodable: 0,
    framesSkipped: 0,
  };
  /** For pieces that end with a frame: most do. */
  #spare: FrameDecoder<In> | undefined;
  #current: FramedSocket<In, Out, Context> | undefined;
  #action: Action | void = undefined;

  constructor(codec: Codec<In, Out>, hooks: FramedHooks<In, Out, Context>) {
    this.codec = codec;
    this.hooks = hooks;
  }

  /** The framed side of a connection; made when first asked for. */
  socketOf(connection: Connection): FramedSocket<In, Out, Context> {
    const { context } = connection;
    return context instanceof FramedSocket && context.layer === this
      ? context
      : new FramedSocket(connection, this);
  }

  /** What lies from `start` to `end` of `bytes`, borrowed. */
  receive(
    socket: FramedSocket<In, Out, Context>,
    bytes: Buffer,
    start: number,
    end: number,
  ): Action | void {
    const decoder = socket.decoder ?? this.#spare ?? new FrameDecoder<In>(this.codec);
    this.#spare = undefined;
    if (socket.connection.isPaused) {
      decoder.keep(bytes, start, end);
      this.#putBack(socket, decoder);
      return undefined;
    }
    // A transport in memory may deliver to another connection within a call of a hook.
    const before = this.#current;
    const actionBefore = this.#action;
    this.#current = socket;
    this.#action = undefined;
    try {
      decoder.push(bytes, this, start, end);
      return this.#action;
    } finally {
      this.#current = before;
      this.#action = actionBefore;
      this.#putBack(socket, decoder);
    }
  }

  #putBack(socket: FramedSocket<In, Out, Context>, decoder: FrameDecoder<In>): void {
    if (!isReceiving(socket.connection)) {
      decoder.forget();
      socket.decoder = undefined;
    } else if (decoder.isIdle) {
      socket.decoder = undefined;
      this.#spare = decoder;
    } else {
      socket.decoder = decoder;
    }
  }

  /** The peer's FIN. */
  end(socket: FramedSocket<In, Out, Context>): void {
    const { decoder } = socket;
    if (decoder !== undefined) {
      const before = this.#current;
      this.#current = socket;
      try {
        decoder.end(this);
      } finally {
        this.#current = before;
      }
    }
  }

  onFrame(frame: In): boolean {
    const socket = this.#current!;
    this.stats.framesReceived += 1;
    const action = this.hooks.onFrame(socket, frame);
    if (action === 'close' || action === 'shutdown') {
      this.#action = action;
      return false;
    }
    const { connection } = socket;
    return !connection.isPaused && isReceiving(connection);
  }

  onFrameError(error: FrameError): boolean {
    const socket = this.#current!;
    this.stats[COUNTER_OF[error.code]] += 1;
    const answer = this.hooks.onFrameError?.(socket, error);
    if (answer === 'skip' && error.code !== 'ERR_FRAME_CORRUPT') {
      this.stats.framesSkipped += 1;
      return isReceiving(socket.connection);
    }
    if (isReceiving(socket.connection)) {
      socket.failure = error;
      socket.connection.close();
    }
    return false;
  }
}

/** Whether frames are still wanted: after a close nothing is reported. */
function isReceiving(connection: Connection): boolean {
  const { state } = connection;
  return state !== 'closing' && state !== 'closed';
}
