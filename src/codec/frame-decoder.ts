/**
 * Frames out of a stream that comes in pieces. A frame that lies within one piece is decoded where it is; one that
 * spans pieces is gathered in a buffer of its own, which grows with what really comes, up to the framing's limit.
 * Between frames a decoder holds no buffer.
 *
 * A consumer that has enough says so after any frame: the rest of the piece is kept for the next call.
 */

import type { Codec } from './codec.js';
import { FrameError } from './frame-error.js';
import { Found, FrameBounds, type Framing, NO_BYTES } from './framing.js';

export interface FrameConsumer<In> {
  /** A frame. False stops: the rest is kept until the next `push`. */
  onFrame(frame: In): boolean;
  /**
   * A frame cannot be had. True goes on without it, where that is possible: not after `ERR_FRAME_CORRUPT`. Otherwise
   * the decoder takes nothing any more.
   */
  onFrameError(error: FrameError): boolean;
}

/** Reused for all: nobody keeps what is in it beyond the call. */
const BOUNDS = new FrameBounds();
/** The first bytes of a frame of unknown length get so much room. */
const FIRST_BYTES = 256;

/** What is being passed over. */
const NOTHING = 0;
/** A frame of unknown length: its end is searched for. */
const UNTIL_END = -1;

export class FrameDecoder<In> {
  readonly #codec: Codec<In, never>;
  readonly #framing: Framing;
  #kept: Buffer = NO_BYTES;
  #from = 0;
  #to = 0;
  /** What the framing said of the frame that has begun. */
  #scanned = 0;
  #needed = 0;
  /** Bytes still to be passed over, or one of the values above. */
  #passing = NOTHING;
  /** Where that begins, in the bytes at hand; -1: where they begin. */
  #passFrom = -1;
  /** Of the search for the end. */
  #state = 0;
  /** The error that is to be told when all of the frame has been passed over. */
  #deferred: FrameError | undefined;
  #isStopped = false;
  #isDead = false;
  #isBusy = false;

  constructor(codec: Codec<In, never>) {
    this.#codec = codec;
    this.#framing = codec.framing;
  }

  /** Nothing has begun: a new decoder would do as well. */
  get isIdle(): boolean {
    return this.#from === this.#to && this.#passing === NOTHING && !this.#isDead;
  }

  /** Bytes that are kept: of a frame that is not complete, and of frames after a stop. */
  get keptBytes(): number {
    return this.#to - this.#from;
  }

  /** The consumer stopped: there may be whole frames among what is kept. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /**
   * Takes the bytes from `start` to `end`, which may be none, and gives all whole frames to the consumer. What throws
   * there is thrown here, and the decoder is of no more use.
   *
   * @throws TypeError within a call of itself.
   */
  push(bytes: Buffer, consumer: FrameConsumer<In>, start = 0, end = bytes.length): void {
    if (this.#isBusy) {
      throw new TypeError('A frame decoder takes nothing while it calls back');
    }
    if (this.#isDead) {
      return;
    }
    this.#isBusy = true;
    this.#isDead = true;
    this.#isStopped = false;
    try {
      let at = this.#from < this.#to ? this.#pushKept(bytes, start, end, consumer) : start;
      if (at >= 0 && at < end && !this.#isStopped) {
        at = this.#run(bytes, at, end, consumer);
      }
      if (at >= 0) {
        // Nothing was thrown, and no error has ended it.
        this.#isDead = false;
        if (at < end) {
          this.#append(bytes, at, end);
        }
      }
    } finally {
      this.#isBusy = false;
    }
  }

  /** Takes bytes without decoding them: for a consumer that wants no frames at present. */
  keep(bytes: Buffer, start = 0, end = bytes.length): void {
    if (start < end && !this.#isDead) {
      this.#isStopped = true;
      this.#append(bytes, start, end);
    }
  }

  /** The stream has ended: tells if that was in the midst of a frame. */
  end(consumer: FrameConsumer<In>): void {
    if (!this.isIdle && !this.#isDead) {
      this.#isDead = true;
      const error =
        this.#deferred ??
        new FrameError(
          'ERR_FRAME_TRUNCATED',
          `The stream ended in the midst of a frame, of which ${this.keptBytes} bytes are kept`,
        );
      this.forget();
      consumer.onFrameError(error);
    }
  }

  /** Lets go of what is kept, and takes nothing any more. */
  forget(): void {
    this.#isDead = true;
    this.#passing = NOTHING;
    this.#deferred = undefined;
    this.#release();
  }

  /** Decodes what is kept, with as much of `bytes` as it needs. Answers where to go on in them, or -1 at the end. */
  #pushKept(bytes: Buffer, start: number, end: number, consumer: FrameConsumer<In>): number {
    let at = start;
    this.#from = this.#run(this.#kept, this.#from, this.#to, consumer);
    while (this.#from >= 0 && this.#from < this.#to && !this.#isStopped) {
      if (at === end) {
        return end;
      }
      const had = this.#to - this.#from;
      const wanted = (this.#needed === 0 ? this.#framing.gatherBytesMax : this.#needed) - had;
      const n = Math.min(wanted, end - at);
      this.#append(bytes, at, at + n);
      at += n;
      const began = this.#from;
      this.#from = this.#run(this.#kept, began, this.#to, consumer);
      if (this.#from > began) {
        // The frame is complete. What was taken too much of is decoded where it came from.
        at -= this.#to - this.#from;
        this.#from = this.#to;
        this.#scanned = 0;
      }
    }
    if (this.#from < 0) {
      this.#release();
      return -1;
    }
    if (this.#from === this.#to) {
      this.#release();
    }
    return at;
  }

  /** Decodes what is whole in `bytes[from..to)`. Answers where it ended; -1 if nothing more is to be taken. */
  #run(bytes: Buffer, from: number, to: number, consumer: FrameConsumer<In>): number {
    let at = from;
    while (!this.#isStopped) {
      if (this.#passing !== NOTHING) {
        at = this.#passOver(bytes, at, to);
        if (this.#passing !== NOTHING) {
          return to;
        }
        if (this.#deferred !== undefined && !this.#tellDeferred(consumer)) {
          return -1;
        }
      }
      if (at === to) {
        return to;
      }
      const found = this.#framing.find(bytes, at, to, this.#scanned, BOUNDS);
      if (found === Found.more) {
        this.#scanned = BOUNDS.scanned;
        this.#needed = BOUNDS.needed;
        return at;
      }
      this.#scanned = 0;
      if (found === Found.frame) {
        at = BOUNDS.next;
        if (!this.#deliver(bytes, BOUNDS.start, BOUNDS.end, consumer)) {
          return -1;
        }
      } else if (!this.#fail(found, bytes, at, to, consumer)) {
        return -1;
      }
    }
    return at;
  }

  /** False: nothing more is to be taken. */
  #deliver(bytes: Buffer, start: number, end: number, consumer: FrameConsumer<In>): boolean {
    let frame: In;
    try {
      frame = this.#codec.decode(bytes, start, end);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const error = new FrameError('ERR_FRAME_DECODE', `Cannot decode a frame: ${why}`, { cause });
      return consumer.onFrameError(error);
    }
    this.#isStopped = !consumer.onFrame(frame);
    return true;
  }

  #fail(
    found: number,
    bytes: Buffer,
    at: number,
    to: number,
    consumer: FrameConsumer<In>,
  ): boolean {
    const { needed, problem } = BOUNDS;
    if (found !== Found.tooLong) {
      consumer.onFrameError(
        new FrameError('ERR_FRAME_CORRUPT', `No frame can begin with ${problem}`),
      );
      return false;
    }
    const error = new FrameError('ERR_FRAME_TOO_LONG', `Expected a frame, got ${problem}`);
    if (needed < 0) {
      this.#passing = UNTIL_END;
      this.#state = this.#framing.terminator!.stateAfter(bytes, at, to);
      // All of these bytes are the frame's.
      this.#passFrom = to;
    } else {
      this.#passing = needed;
      this.#passFrom = at;
    }
    if (this.#framing.failFast) {
      return consumer.onFrameError(error);
    }
    this.#deferred = error;
    return true;
  }

  #passOver(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#passFrom >= 0) {
      at = this.#passFrom;
      this.#passFrom = -1;
    }
    if (this.#passing === UNTIL_END) {
      const terminator = this.#framing.terminator!;
      const end = terminator.pass(bytes, at, to, this.#state);
      this.#state = terminator.state;
      if (end < 0) {
        return to;
      }
      this.#passing = NOTHING;
      return end;
    }
    const n = Math.min(this.#passing, to - at);
    this.#passing -= n;
    return at + n;
  }

  #tellDeferred(consumer: FrameConsumer<In>): boolean {
    const error = this.#deferred!;
    this.#deferred = undefined;
    return consumer.onFrameError(error);
  }

  /** Copies to what is kept, in a larger buffer if there is no room. */
  #append(bytes: Buffer, from: number, to: number): void {
    const had = this.#to - this.#from;
    const length = had + to - from;
    if (this.#to + to - from > this.#kept.length) {
      const isLarger = length > this.#kept.length;
      const room = isLarger ? Buffer.allocUnsafeSlow(this.#roomFor(length)) : this.#kept;
      this.#kept.copy(room, 0, this.#from, this.#to);
      this.#kept = room;
      this.#from = 0;
      this.#to = had;
    }
    bytes.copy(this.#kept, this.#to, from, to);
    this.#to += to - from;
  }

  /** Twice as much as there is, but not more than the frame needs: it is not given for an announcement alone. */
  #roomFor(length: number): number {
    const most =
      this.#needed === 0 || this.#isStopped ? this.#framing.gatherBytesMax : this.#needed;
    return Math.max(length, Math.min(most, Math.max(FIRST_BYTES, 2 * length)));
  }

  #release(): void {
    this.#kept = NO_BYTES;
    this.#from = 0;
    this.#to = 0;
    this.#scanned = 0;
  }
}
