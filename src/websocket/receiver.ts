/**
 * The receiving half of RFC 6455 without I/O: bytes in, messages and control frames out, as calls on a sink. It judges
 * each frame as soon as its header is complete, before a byte of the payload is kept.
 *
 * - A message that lies in one piece in the bytes received is unmasked where it lies and given on without a copy. Only
 *   what is torn is kept, in an Assembly, which is let go with the message: an idle receiver holds no buffer.
 * - The bytes handed in are changed (unmasked). What the sink gets is borrowed until its call returns.
 * - After a violation or a close frame nothing more is read: `receive` takes all bytes and drops them.
 */

import { Assembly } from './assembly.js';
import { CloseCode, isWireCloseCode } from './close-code.js';
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  CONTROL,
  CONTROL_BYTES_MAX,
  FIN,
  OPCODE,
  PING,
  RSV1,
  RSV23,
  TEXT,
} from './frame.js';
import type { Decompressor, FrameSink, ReceiverLimits } from './frame-sink.js';
import { header, parseHeader } from './header.js';
import type { Inflation } from './inflate-queue.js';
import { mask } from './mask.js';
import { giveBuffer } from './message-buffers.js';
import { checkUtf8, isWholeUtf8, UTF8_INVALID, UTF8_START } from './utf8.js';
import { VIOLATIONS, type Violation } from './violation.js';

const STOPPED = 1;
const PAUSED = 2;
/** A message is being inflated in the turns that follow. */
const LATE = 4;

export class Receiver {
  readonly #limits: ReceiverLimits;
  /** Set when permessage-deflate was agreed on: only then RSV1 may be set. */
  readonly #decompressor: Decompressor | undefined;
  #partial: Assembly | undefined = undefined;
  /** The message that is being inflated, and whether it is TEXT or BINARY. */
  #late: Inflation | undefined = undefined;
  #lateOpcode = 0;
  #flags = 0;

  constructor(limits: ReceiverLimits, decompressor?: Decompressor) {
    this.#limits = limits;
    this.#decompressor = decompressor;
  }

  /** Whether it holds part of a frame or message. */
  get isIdle(): boolean {
    return this.#partial === undefined;
  }

  /** Whether it may go to another connection: it holds nothing, and is neither paused nor stopped. */
  get isSpare(): boolean {
    return this.#partial === undefined && this.#flags === 0;
  }

  /** Drops what is held and what comes. */
  stop(): void {
    this.#flags |= STOPPED;
    this.#partial?.endMessage();
    this.#partial = undefined;
    this.#late?.cancel();
    this.#late = undefined;
  }

  /** `receive` returns after the call under way, with the rest of the bytes not taken. */
  pause(): void {
    this.#flags |= PAUSED;
  }

  resume(): void {
    this.#flags &= ~PAUSED;
  }

  /**
   * Takes the bytes from `start` to `end` and reports what is complete. Returns up to where: all, unless paused, or a
   * message is being inflated, which is reported before them by the first call, also without bytes, after
   * `sink.onInflated`.
   */
  receive(bytes: Buffer, start: number, end: number, sink: FrameSink): number {
    let at = start;
    if ((this.#flags & (LATE | PAUSED)) === LATE) {
      this.#takeLate(sink);
    }
    while (at < end) {
      if (this.#flags !== 0) {
        return (this.#flags & STOPPED) !== 0 ? end : at;
      }
      const partial = this.#partial;
      if (partial !== undefined && partial.opcode >= 0) {
        at = this.#continueFrame(partial, bytes, at, end, sink);
      } else if (partial !== undefined && partial.headerLength > 0) {
        at = this.#continueHeader(partial, bytes, at, end, sink);
      } else {
        const payload = parseHeader(bytes, at, end);
        if (payload < 0) {
          this.#keepHeader(bytes, at, end);
          return end;
        }
        at = this.#startFrame(bytes, payload, end, sink);
      }
    }
    return (this.#flags & STOPPED) !== 0 ? end : at;
  }

  #keepHeader(bytes: Buffer, at: number, end: number): void {
    this.#partial ??= new Assembly();
    this.#partial.headerLength = bytes.copy(this.#partial.header, 0, at, end);
  }

  /** Byte by byte: it is at most 13 of them, and rare. */
  #continueHeader(partial: Assembly, bytes: Buffer, start: number, end: number, sink: FrameSink) {
    for (let at = start; at < end; ) {
      partial.header[partial.headerLength] = bytes[at];
      partial.headerLength += 1;
      at += 1;
      if (parseHeader(partial.header, 0, partial.headerLength) >= 0) {
        partial.headerLength = 0;
        this.#letGo(partial);
        return this.#startFrame(bytes, at, end, sink);
      }
    }
    return end;
  }

  /** The header has been parsed, its payload begins at `at`. Returns where to go on. */
  #startFrame(bytes: Buffer, at: number, end: number, sink: FrameSink): number {
    const wrong = this.#judge();
    if (wrong !== undefined) {
      return this.#fail(wrong, end, sink);
    }
    const { first, length } = header;
    const opcode = first & OPCODE;
    if (end - at < length) {
      return this.#tearFrame(bytes, at, end, sink);
    }
    const frameEnd = at + length;
    if (header.isMasked) {
      mask(bytes, at, frameEnd, header.key, 0);
    }
    if ((opcode & CONTROL) !== 0) {
      this.#control(opcode, bytes.subarray(at, frameEnd), sink);
      return frameEnd;
    }
    if ((first & FIN) !== 0 && opcode !== CONTINUATION) {
      const data = bytes.subarray(at, frameEnd);
      if ((first & RSV1) !== 0) {
        this.#inflated(opcode, data, undefined, sink);
      } else {
        this.#deliver(opcode, data, sink);
      }
      return frameEnd;
    }
    const partial = this.#beginData(opcode, first);
    if (this.#takeData(partial, bytes, at, frameEnd, sink) && (first & FIN) !== 0) {
      this.#finishMessage(partial, sink);
    }
    return frameEnd;
  }

  /** What is wrong with the frame whose header was parsed, in the order of the header's fields. */
  #judge(): Violation | undefined {
    const { first, length } = header;
    const opcode = first & OPCODE;
    const isFinal = (first & FIN) !== 0;
    const isControl = (opcode & CONTROL) !== 0;
    if ((first & RSV23) !== 0) {
      return VIOLATIONS.RSV;
    }
    if ((first & RSV1) !== 0) {
      // It is a message's, so its first frame's alone (RFC 7692 section 6).
      if (this.#decompressor === undefined || isControl || opcode === CONTINUATION) {
        return VIOLATIONS.RSV;
      }
    }
    if (isControl ? opcode > 10 : opcode > BINARY) {
      return VIOLATIONS.OPCODE;
    }
    if (header.isMasked !== this.#limits.isServer) {
      return this.#limits.isServer ? VIOLATIONS.UNMASKED : VIOLATIONS.MASKED;
    }
    if (isControl) {
      if (!isFinal) {
        return VIOLATIONS.CONTROL_FRAGMENT;
      }
      if (length > CONTROL_BYTES_MAX || length < 0) {
        return VIOLATIONS.CONTROL_LENGTH;
      }
      return opcode === CLOSE && length === 1 ? VIOLATIONS.CLOSE_LENGTH : undefined;
    }
    if (length < 0) {
      return VIOLATIONS.LENGTH;
    }
    return this.#judgeData(opcode, length);
  }

  #judgeData(opcode: number, length: number): Violation | undefined {
    const partial = this.#partial;
    const isContinued = partial !== undefined && partial.messageOpcode !== 0;
    if (isContinued !== (opcode === CONTINUATION)) {
      return isContinued ? VIOLATIONS.INTERLEAVED : VIOLATIONS.CONTINUATION;
    }
    const before = isContinued ? partial.length : 0;
    if (length > this.#limits.messageBytesMax - before) {
      return VIOLATIONS.TOO_BIG;
    }
    if (isContinued && partial.fragments >= this.#limits.fragmentsMax) {
      return VIOLATIONS.FRAGMENTS;
    }
    return undefined;
  }

  /** The payload is not all there: what is there is kept, and checked already if it is text. */
  #tearFrame(bytes: Buffer, at: number, end: number, sink: FrameSink): number {
    const { first, length, isMasked, key } = header;
    const opcode = first & OPCODE;
    this.#partial ??= new Assembly();
    const partial = this.#partial;
    if ((opcode & CONTROL) === 0) {
      this.#beginData(opcode, first);
    } else {
      partial.control = Buffer.alloc(length);
    }
    partial.opcode = opcode;
    partial.isFinal = (first & FIN) !== 0;
    partial.isMasked = isMasked;
    partial.key = key;
    partial.missing = length;
    return at === end ? end : this.#continueFrame(partial, bytes, at, end, sink);
  }

  #continueFrame(
    partial: Assembly,
    bytes: Buffer,
    at: number,
    end: number,
    sink: FrameSink,
  ): number {
    const take = Math.min(end - at, partial.missing);
    const stop = at + take;
    if (partial.isMasked) {
      mask(bytes, at, stop, partial.key, partial.arrived & 3);
    }
    const { control, opcode } = partial;
    if (control !== undefined) {
      bytes.copy(control, partial.arrived, at, stop);
    } else if (!this.#takeData(partial, bytes, at, stop, sink)) {
      return end;
    }
    partial.missing -= take;
    partial.arrived += take;
    if (partial.missing === 0) {
      const { isFinal } = partial;
      partial.endFrame();
      if (control !== undefined) {
        this.#letGo(partial);
        this.#control(opcode, control, sink);
      } else if (isFinal) {
        this.#finishMessage(partial, sink);
      }
    }
    return stop;
  }

  /** A frame of an unfinished message begins. */
  #beginData(opcode: number, first: number): Assembly {
    this.#partial ??= new Assembly();
    const partial = this.#partial;
    if (opcode !== CONTINUATION) {
      partial.messageOpcode = opcode;
      partial.isCompressed = (first & RSV1) !== 0;
    }
    partial.fragments += 1;
    return partial;
  }

  /** Keeps a piece of the unfinished message; false if it cannot become UTF-8. */
  #takeData(partial: Assembly, bytes: Buffer, at: number, stop: number, sink: FrameSink): boolean {
    if (partial.messageOpcode === TEXT && !partial.isCompressed) {
      partial.utf8 = checkUtf8(partial.utf8, bytes, at, stop);
      if (partial.utf8 === UTF8_INVALID) {
        this.#fail(VIOLATIONS.UTF8, stop, sink);
        return false;
      }
    }
    if (stop > at) {
      partial.append(bytes, at, stop, this.#limits.messageBytesMax);
    }
    return true;
  }

  #finishMessage(partial: Assembly, sink: FrameSink): void {
    const { message, messageOpcode, isCompressed, utf8 } = partial;
    const buffer = partial.takeMessageBuffer();
    partial.endMessage();
    this.#letGo(partial);
    if (isCompressed) {
      this.#inflated(messageOpcode, message, buffer, sink);
    } else if (utf8 !== UTF8_START) {
      this.#fail(VIOLATIONS.UTF8, 0, sink);
    } else {
      sink.onMessage(message, messageOpcode === BINARY);
    }
    // Not if the sink threw. One that is inflated later has it still.
    if (buffer !== undefined && this.#late === undefined) {
      giveBuffer(buffer);
    }
  }

  #inflated(opcode: number, data: Buffer, buffer: Buffer | undefined, sink: FrameSink): void {
    const max = this.#limits.messageBytesMax;
    const message = this.#decompressor!.inflate(data, max);
    if (message !== undefined) {
      this.#finishInflated(opcode, message, sink);
      return;
    }
    this.#flags |= LATE;
    this.#lateOpcode = opcode;
    this.#late = this.#decompressor!.defer(data, max, buffer, () => sink.onInflated());
    sink.onDeferred();
  }

  #takeLate(sink: FrameSink): void {
    const outcome = this.#late?.outcome;
    if (outcome instanceof Error) {
      throw outcome;
    }
    if (outcome !== undefined) {
      this.#flags &= ~LATE;
      this.#late = undefined;
      this.#finishInflated(this.#lateOpcode, outcome, sink);
    }
  }

  #finishInflated(opcode: number, message: Buffer | Violation, sink: FrameSink): void {
    if (message instanceof Uint8Array) {
      this.#deliver(opcode, message, sink);
    } else {
      this.#fail(message, 0, sink);
    }
  }

  #deliver(opcode: number, data: Buffer, sink: FrameSink): void {
    if (opcode === TEXT && !isWholeUtf8(data)) {
      this.#fail(VIOLATIONS.UTF8, 0, sink);
    } else {
      sink.onMessage(data, opcode === BINARY);
    }
  }

  #control(opcode: number, data: Buffer, sink: FrameSink): void {
    if (opcode === PING) {
      sink.onPing(data);
    } else if (opcode === CLOSE) {
      this.#close(data, sink);
    } else {
      sink.onPong(data);
    }
  }

  /** Section 5.5.1; data after a close frame is not processed. */
  #close(data: Buffer, sink: FrameSink): void {
    if (data.length === 0) {
      this.stop();
      sink.onCloseFrame(CloseCode.NO_STATUS, data);
      return;
    }
    const code = data.readUInt16BE(0);
    if (!isWireCloseCode(code)) {
      this.#fail(VIOLATIONS.CLOSE_CODE, 0, sink);
    } else if (!isWholeUtf8(data.subarray(2))) {
      this.#fail(VIOLATIONS.CLOSE_REASON, 0, sink);
    } else {
      this.stop();
      sink.onCloseFrame(code, data.subarray(2));
    }
  }

  #letGo(partial: Assembly): void {
    if (partial.isEmpty) {
      this.#partial = undefined;
    }
  }

  #fail(violation: Violation, end: number, sink: FrameSink): number {
    this.stop();
    sink.onViolation(violation);
    return end;
  }
}
