/**
 * The head of a response (RFC 9112 4 and 5) as offsets: parsed once, decoded when asked. No I/O.
 *
 *     START ──> status line ──> field lines ──> empty line: DONE
 *
 * `parse` may be called again as bytes arrive, as long as earlier ones keep their offsets from `base`; its outcome does
 * not depend on how they were split. The space before an empty reason phrase may be missing, as many servers have it;
 * nothing else is forgiven.
 */

import { FIELDS_DONE, FIELDS_MORE, FieldBlock, fieldReject } from './field-block.js';
import { CR, FIELD_VALUE, LF, latin1, SP } from './grammar.js';
import type { Limits } from './limits.js';
import { HEAD_DONE, HEAD_MORE, HEAD_REJECTED } from './request-head.js';
import type { ResponseRejectCode } from './response-rejects.js';

export type HeadLimits = Pick<Limits, 'headBytesMax' | 'lineBytesMax' | 'fieldsMax'>;

/** `HTTP/1.1 200` */
const FIXED_LENGTH = 12;
const MAJOR_AT = 5;
const MINOR_AT = 7;
const STATUS_AT = 9;
const FIXED = 'HTTP/0.0 000';
const ZERO = 0x30;
const ONE = 0x31;
const NINE = 0x39;

export class ResponseHead extends FieldBlock {
  status = 0;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  minorVersion = 1;
  /** Relative to `base`. */
  reasonStart = 0;
  reasonEnd = 0;
  /** Why, after HEAD_REJECTED. */
  reject: ResponseRejectCode = 'status-line';
  #hasLine = false;

  /** Forgets everything: the next head begins at `base` of `bytes`. */
  override restart(bytes: Buffer, base: number): void {
    super.restart(bytes, base);
    this.#hasLine = false;
  }

  /** Parses up to `end`, a position in `bytes`. After HEAD_DONE the head ends at `base + at`. */
  parse(end: number, limits: HeadLimits): number {
    const limit = this.base + limits.headBytesMax;
    const clipped = Math.min(end, limit);
    if (!this.#hasLine) {
      const outcome = this.#parseStatusLine(clipped, limits.lineBytesMax);
      if (outcome !== HEAD_DONE) {
        return outcome === HEAD_MORE && end >= limit ? this.#fail('head-length') : outcome;
      }
    }
    const outcome = this.parseFields(clipped, limits.lineBytesMax, limits.fieldsMax);
    if (outcome === FIELDS_DONE) {
      return HEAD_DONE;
    }
    if (outcome === FIELDS_MORE) {
      return end >= limit ? this.#fail('head-length') : HEAD_MORE;
    }
    return this.#fail(fieldReject(outcome));
  }

  #parseStatusLine(end: number, lineMax: number): number {
    const { bytes, base } = this;
    const limit = Math.min(end, base + lineMax);
    const isClipped = limit === base + lineMax;
    const fixed = Math.min(FIXED_LENGTH, limit - base);
    for (let i = 0; i < fixed; i += 1) {
      const reject = checkFixed(bytes[base + i], i);
      if (reject !== undefined) {
        return this.#fail(reject);
      }
    }
    let pos = base + FIXED_LENGTH;
    const reasonStart = pos + 1;
    if (pos < limit && bytes[pos] === SP) {
      pos += 1;
      while (pos < limit && FIELD_VALUE[bytes[pos]] === 1) {
        pos += 1;
      }
    }
    if (pos < limit && bytes[pos] !== CR) {
      return this.#fail('status-line');
    }
    if (pos + 1 >= limit) {
      return isClipped ? this.#fail('status-length') : HEAD_MORE;
    }
    if (bytes[pos + 1] !== LF) {
      return this.#fail('status-line');
    }
    this.minorVersion = bytes[base + MINOR_AT] - ZERO;
    this.status =
      (bytes[base + STATUS_AT] - ZERO) * 100 +
      (bytes[base + STATUS_AT + 1] - ZERO) * 10 +
      (bytes[base + STATUS_AT + 2] - ZERO);
    this.reasonStart = Math.min(reasonStart, pos) - base;
    this.reasonEnd = pos - base;
    this.at = pos + 2 - base;
    this.#hasLine = true;
    return HEAD_DONE;
  }

  #fail(code: ResponseRejectCode): number {
    this.reject = code;
    return HEAD_REJECTED;
  }

  /** What the server calls the status, as latin1: any text, often none. */
  get reason(): string {
    return latin1(this.bytes, this.base + this.reasonStart, this.base + this.reasonEnd);
  }

  /** The same head on bytes of its own, for those that live longer than the ones they came in. */
  copy(): ResponseHead {
    const copied = new ResponseHead(this.bytes);
    copied.copyFields(this);
    copied.status = this.status;
    copied.minorVersion = this.minorVersion;
    copied.reasonStart = this.reasonStart;
    copied.reasonEnd = this.reasonEnd;
    return copied;
  }
}

/** One byte of the part whose places are fixed. */
function checkFixed(byte: number, i: number): ResponseRejectCode | undefined {
  const expected = FIXED.charCodeAt(i);
  if (expected !== ZERO) {
    return byte === expected ? undefined : 'status-line';
  }
  if (byte < ZERO || byte > NINE) {
    return 'status-line';
  }
  if ((i === MAJOR_AT && byte !== ONE) || (i === MINOR_AT && byte > ONE)) {
    return 'version';
  }
  return i === STATUS_AT && byte === ZERO ? 'status' : undefined;
}
