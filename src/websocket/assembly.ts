/**
 * What a receiver keeps while something has come in part: a torn header, a torn frame, an unfinished message. Between
 * messages there is none of it.
 *
 * Fragments are copied into one buffer that grows with what has arrived, never with what was announced: an object for
 * each fragment would let a peer turn every byte it sends into a hundred of ours (CVE-2026-48779), and memory for a
 * length that is only announced costs it nothing at all.
 */

import { HEADER_BYTES_MAX } from './frame.js';
import { giveBuffer, takeBuffer } from './message-buffers.js';
import { UTF8_START } from './utf8.js';

export class Assembly {
  /** The first bytes of a header that is not complete. */
  readonly header: Buffer = Buffer.alloc(HEADER_BYTES_MAX);
  headerLength = 0;

  /** The frame whose payload is being received; -1: none. */
  opcode = -1;
  isFinal = false;
  key = 0;
  isMasked = false;
  /** Payload bytes of the frame that are still to come, and that have come. */
  missing = 0;
  arrived = 0;

  /** Payload of a control frame that has come in part. */
  control: Buffer | undefined = undefined;

  /** TEXT or BINARY of the unfinished message; 0: none. */
  messageOpcode = 0;
  isCompressed = false;
  fragments = 0;
  utf8: number = UTF8_START;
  #buffer: Buffer | undefined = undefined;
  #length = 0;

  /** Bytes of the message so far. */
  get length(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.headerLength === 0 && this.opcode < 0 && this.messageOpcode === 0;
  }

  /** The message so far: valid until the next call, or, if its buffer is taken, until that is given back. */
  get message(): Buffer {
    return this.#buffer === undefined ? EMPTY : this.#buffer.subarray(0, this.#length);
  }

  /** Takes the buffer that the message lies in, to be given back when nobody sees the message any more. */
  takeMessageBuffer(): Buffer | undefined {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    return buffer;
  }

  /** Appends a copy and returns the buffer that has it, at `length` before the call. `max` is the message's limit. */
  append(bytes: Buffer, start: number, end: number, max: number): Buffer {
    const needed = this.#length + (end - start);
    let buffer = this.#buffer;
    if (buffer === undefined || buffer.length < needed) {
      const grown = takeBuffer(needed, max);
      if (buffer !== undefined) {
        buffer.copy(grown, 0, 0, this.#length);
        giveBuffer(buffer);
      }
      buffer = grown;
      this.#buffer = grown;
    }
    bytes.copy(buffer, this.#length, start, end);
    this.#length = needed;
    return buffer;
  }

  endMessage(): void {
    this.messageOpcode = 0;
    this.isCompressed = false;
    this.fragments = 0;
    this.utf8 = UTF8_START;
    this.#length = 0;
    if (this.#buffer !== undefined) {
      giveBuffer(this.#buffer);
      this.#buffer = undefined;
    }
  }

  endFrame(): void {
    this.opcode = -1;
    this.control = undefined;
    this.arrived = 0;
  }
}

const EMPTY = Buffer.alloc(0);
