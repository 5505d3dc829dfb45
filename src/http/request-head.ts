/**
 * The head of a request (RFC 9112 3 and 5) as offsets: parsed once, decoded when asked. No I/O.
 *
 *     START ──> request line ──> field lines ──> empty line: DONE
 *
 * `parse` may be called again as bytes arrive, as long as earlier ones keep their offsets from `base`; its outcome does
 * not depend on how they were split. An unfinished line is parsed again from its start: at most `lineBytesMax` bytes
 * for each packet, which is less than the packet costs. One empty line before the request line is skipped (RFC 9112
 * 2.2).
 */

import { FIELDS_DONE, FIELDS_MORE, FieldBlock, fieldReject } from './field-block.js';
import { CR, equalsText, LF, latin1, SP, TARGET, TOKEN } from './grammar.js';
import type { Limits } from './limits.js';
import type { RejectCode } from './rejects.js';
import { type Target, TargetCache } from './target-cache.js';

/** Outcomes of `parse`. */
export const HEAD_MORE = 0;
export const HEAD_DONE = 1;
export const HEAD_REJECTED = 2;

/** RFC 9110 knows none longer than 7, registered extensions go up to 17. */
const METHOD_MAX = 24;
/** `HTTP/1.1` */
const VERSION_LENGTH = 8;
const SLASH = 0x2f;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** Of all connections of this thread. */
const targets = new TargetCache();

const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT'];

export class RequestHead extends FieldBlock {
  /** All relative to `base`. */
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** 1 for HTTP/1.1, 0 for HTTP/1.0. */
  minorVersion = 1;
  /** Why, after HEAD_REJECTED. */
  reject: RejectCode = 'request-line';
  #hasLine = false;

  /** Forgets everything: the next head begins at `base` of `bytes`. */
  override restart(bytes: Buffer, base: number): void {
    super.restart(bytes, base);
    this.#hasLine = false;
  }

  /** Parses up to `end`, a position in `bytes`. After HEAD_DONE the head ends at `base + at`. */
  parse(end: number, limits: Limits): number {
    const limit = this.base + limits.headBytesMax;
    const clipped = Math.min(end, limit);
    if (!this.#hasLine) {
      const outcome = this.#parseRequestLine(clipped, limits);
      if (outcome !== HEAD_DONE) {
        return outcome === HEAD_MORE ? this.#more(end, limit) : outcome;
      }
    }
    const outcome = this.parseFields(clipped, limits.lineBytesMax, limits.fieldsMax);
    if (outcome === FIELDS_DONE) {
      return HEAD_DONE;
    }
    if (outcome === FIELDS_MORE) {
      return this.#more(end, limit);
    }
    return this.#fail(fieldReject(outcome));
  }

  /** The bytes that are there do not suffice: they may not be more than that. */
  #more(end: number, limit: number): number {
    if (end >= limit) {
      return this.#fail(this.#hasLine ? 'head-length' : 'target-length');
    }
    return HEAD_MORE;
  }

  #parseRequestLine(end: number, limits: Limits): number {
    const { bytes, base } = this;
    let pos = base + this.at;
    if (pos === base && pos < end && bytes[pos] === CR) {
      if (pos + 1 >= end) {
        return HEAD_MORE;
      }
      if (bytes[pos + 1] !== LF) {
        return this.#fail('request-line');
      }
      pos += 2;
      this.at = 2;
    }
    const limit = Math.min(end, pos + limits.lineBytesMax);
    const isClipped = limit === pos + limits.lineBytesMax;
    const methodStart = pos;
    while (pos < limit && TOKEN[bytes[pos]] === 1) {
      pos += 1;
    }
    if (pos - methodStart > METHOD_MAX) {
      return this.#fail('method');
    }
    if (pos >= limit) {
      return isClipped ? this.#fail('target-length') : HEAD_MORE;
    }
    if (bytes[pos] !== SP || pos === methodStart) {
      return this.#fail('request-line');
    }
    const methodEnd = pos;
    pos += 1;
    const targetStart = pos;
    while (pos < limit && TARGET[bytes[pos]] === 1) {
      pos += 1;
    }
    if (pos >= limit) {
      return isClipped ? this.#fail('target-length') : HEAD_MORE;
    }
    if (bytes[pos] !== SP || pos === targetStart) {
      return this.#fail(bytes[pos] === CR || bytes[pos] === SP ? 'request-line' : 'target');
    }
    const next = this.#parseVersion(pos + 1, limit);
    if (next < 0) {
      return HEAD_REJECTED;
    }
    if (next === 0) {
      return isClipped ? this.#fail('target-length') : HEAD_MORE;
    }
    this.methodStart = methodStart - base;
    this.methodEnd = methodEnd - base;
    this.targetStart = targetStart - base;
    this.targetEnd = pos - base;
    this.at = next - base;
    this.#hasLine = true;
    return HEAD_DONE;
  }

  /** `HTTP/1.1` and the end of the line: the position after it, 0 for more, -1 after a reject. */
  #parseVersion(start: number, end: number): number {
    const { bytes } = this;
    const there = Math.min(VERSION_LENGTH, end - start);
    for (let i = 0; i < there; i += 1) {
      const byte = bytes[start + i];
      const isGood =
        i === 5 || i === 7
          ? byte >= ZERO && byte <= NINE
          : byte === (i === 6 ? DOT : 'HTTP/'.charCodeAt(i));
      if (!isGood) {
        this.#fail('request-line');
        return -1;
      }
    }
    const pos = start + VERSION_LENGTH;
    if (pos < end && bytes[pos] !== CR) {
      this.#fail('request-line');
      return -1;
    }
    if (pos + 1 >= end) {
      return 0;
    }
    if (bytes[pos + 1] !== LF) {
      this.#fail('request-line');
      return -1;
    }
    const minor = bytes[start + 7] - ZERO;
    if (bytes[start + 5] !== ZERO + 1 || minor > 1) {
      this.#fail('version');
      return -1;
    }
    this.minorVersion = minor;
    return pos + 2;
  }

  #fail(code: RejectCode): number {
    this.reject = code;
    return HEAD_REJECTED;
  }

  /** The method; those of the RFC are not decoded but recognized. */
  get method(): string {
    const { bytes, base } = this;
    const start = base + this.methodStart;
    const end = base + this.methodEnd;
    for (const method of METHODS) {
      if (equalsText(bytes, start, end, method)) {
        return method;
      }
    }
    return latin1(bytes, start, end);
  }

  isMethod(method: string): boolean {
    return equalsText(this.bytes, this.base + this.methodStart, this.base + this.methodEnd, method);
  }

  /** The request target as it was sent. */
  get target(): Target {
    return targets.find(this.bytes, this.base + this.targetStart, this.base + this.targetEnd);
  }

  /** Whether the target is in origin form (RFC 9112 3.2.1). */
  get isOriginForm(): boolean {
    return this.bytes[this.base + this.targetStart] === SLASH;
  }

  /** The same head on bytes of its own, for those that live longer than the ones they came in. */
  copy(): RequestHead {
    const copied = new RequestHead(this.bytes);
    copied.copyFields(this);
    copied.methodStart = this.methodStart;
    copied.methodEnd = this.methodEnd;
    copied.targetStart = this.targetStart;
    copied.targetEnd = this.targetEnd;
    copied.minorVersion = this.minorVersion;
    return copied;
  }
}
