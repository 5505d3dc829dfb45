/**
 * How long the body of a response is, and whether its connection can serve another request (RFC 9112 6.3 and 9.3).
 *
 * This is where responses are split and mixed up when client and server disagree, so every doubt is a reject: two
 * lengths (even equal ones), a length beside a coding, any coding but `chunked` alone, chunked in HTTP/1.0, a body
 * announced for a status that has none.
 */

import {
  OPTION_CLOSE,
  OPTION_KEEP_ALIVE,
  OPTION_UPGRADE,
  readCoding,
  readConnectionOptions,
  readLength,
} from './framing-fields.js';
import { equalsIgnoringCase } from './grammar.js';
import type { ResponseHead } from './response-head.js';
import type { ResponseRejectCode } from './response-rejects.js';

/** Kinds of bodies. */
export const BODY_NONE = 0;
export const BODY_OF_LENGTH = 1;
export const BODY_CHUNKED = 2;
/** It ends with the connection. */
export const BODY_UNTIL_CLOSE = 3;
/** After a CONNECT that succeeded, or 101: what follows is not HTTP. */
export const BODY_TUNNEL = 4;

const SWITCHING_PROTOCOLS = 101;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

export class ResponseFraming {
  /** One of BODY_…. */
  kind = BODY_NONE;
  /** What Content-Length says, also where there is no body (HEAD, 304); -1 if there is no such field. */
  declaredLength = -1;
  keepsAlive = true;
  #lengths = 0;
  #codings = 0;
  #options = 0;

  /**
   * Reads a complete head, the answer to a request of `method`, with an Upgrade field if `mayUpgrade`. Returns why it
   * is refused, if so.
   */
  read(
    head: ResponseHead,
    method: string,
    bodyBytesMax: number,
    mayUpgrade = false,
  ): ResponseRejectCode | undefined {
    this.declaredLength = -1;
    if (method === 'CONNECT' && head.status >= 200 && head.status < 300) {
      // Whatever the fields say about a body: they are to be ignored (RFC 9110 9.3.6).
      this.kind = BODY_TUNNEL;
      this.keepsAlive = false;
      return undefined;
    }
    this.#lengths = 0;
    this.#codings = 0;
    this.#options = 0;
    const { bytes, count } = head;
    for (let i = 0; i < count; i += 1) {
      const reject = this.#readField(bytes, head, i);
      if (reject !== undefined) {
        return reject;
      }
    }
    if (this.#codings > 0 && this.#lengths > 0) {
      return 'framing';
    }
    if (this.#lengths > 1) {
      return 'content-length';
    }
    if (this.#codings > 1 || (this.#codings > 0 && head.minorVersion === 0)) {
      return 'transfer-encoding';
    }
    return head.status === SWITCHING_PROTOCOLS
      ? this.#concludeSwitch(head, mayUpgrade)
      : this.#conclude(head, method, bodyBytesMax);
  }

  #readField(bytes: Buffer, head: ResponseHead, i: number): ResponseRejectCode | undefined {
    const start = head.nameStart(i);
    const end = head.nameEnd(i);
    switch (end - start) {
      case 10:
        if (equalsIgnoringCase(bytes, start, end, 'connection')) {
          this.#options |= readConnectionOptions(bytes, head.valueStart(i), head.valueEnd(i));
        }
        return undefined;
      case 14:
        if (equalsIgnoringCase(bytes, start, end, 'content-length')) {
          this.#lengths += 1;
          this.declaredLength = readLength(bytes, head.valueStart(i), head.valueEnd(i));
          return this.declaredLength < 0 ? 'content-length' : undefined;
        }
        return undefined;
      case 17:
        if (equalsIgnoringCase(bytes, start, end, 'transfer-encoding')) {
          this.#codings += 1;
          return readCoding(bytes, head.valueStart(i), head.valueEnd(i));
        }
        return undefined;
      default:
        return undefined;
    }
  }

  #conclude(
    head: ResponseHead,
    method: string,
    bodyBytesMax: number,
  ): ResponseRejectCode | undefined {
    const { status, minorVersion } = head;
    const options = this.#options;
    this.keepsAlive =
      (options & OPTION_CLOSE) === 0 && (minorVersion === 1 || (options & OPTION_KEEP_ALIVE) !== 0);
    if (status < 200 || status === NO_CONTENT) {
      this.kind = BODY_NONE;
      // RFC 9110 8.6 and RFC 9112 6.1: neither field may be there. A length of 0 does no harm.
      return this.#codings > 0 || this.declaredLength > 0 ? 'framing' : undefined;
    }
    if (method === 'HEAD' || status === NOT_MODIFIED) {
      this.kind = BODY_NONE;
    } else if (this.#codings > 0) {
      this.kind = BODY_CHUNKED;
    } else if (this.#lengths > 0) {
      this.kind = this.declaredLength === 0 ? BODY_NONE : BODY_OF_LENGTH;
      return this.declaredLength > bodyBytesMax ? 'body-length' : undefined;
    } else {
      this.kind = BODY_UNTIL_CLOSE;
      this.keepsAlive = false;
    }
    return undefined;
  }

  /** 101: only where it was asked for, and without a body (RFC 9110 7.8 and 15.2). */
  #concludeSwitch(head: ResponseHead, mayUpgrade: boolean): ResponseRejectCode | undefined {
    if (!mayUpgrade || head.minorVersion === 0 || (this.#options & OPTION_UPGRADE) === 0) {
      return 'upgrade';
    }
    if (this.#codings > 0 || this.#lengths > 0) {
      return 'framing';
    }
    this.kind = BODY_TUNNEL;
    this.keepsAlive = false;
    return undefined;
  }
}
