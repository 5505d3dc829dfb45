/**
 * What the fields of a head mean for the connection: how long the body is, whether another request may follow, and what
 * the client waits for (RFC 9112 6 and 9, RFC 9110 7.2, 7.8 and 10.1.1). One pass over the names, by their length.
 *
 * This is where requests are smuggled when two servers disagree, so every doubt is a reject: two lengths (even equal
 * ones), a length beside a coding, any coding but `chunked` alone, chunked in HTTP/1.0.
 */

import {
  OPTION_CLOSE,
  OPTION_KEEP_ALIVE,
  OPTION_UPGRADE,
  readCoding,
  readConnectionOptions,
  readLength,
} from './framing-fields.js';
import { COLON, equalsIgnoringCase, equalsText, LOWER, latin1, REG_NAME } from './grammar.js';
import type { Limits } from './limits.js';
import type { RejectCode } from './rejects.js';
import type { RequestHead } from './request-head.js';

const ZERO = 0x30;
const NINE = 0x39;
const AT_LENGTH_CHUNKED = -1;
/** The names that mean something here, but for Host, by their lengths, which all differ. */
const NAMES: string[] = new Array(18).fill('');
const UPGRADE = 7;
const CONNECTION = 10;
const CONTENT_LENGTH = 14;
const TRANSFER_ENCODING = 17;
for (const name of ['expect', 'upgrade', 'connection', 'content-length', 'transfer-encoding']) {
  NAMES[name.length] = name;
}
const HOST = 4;

export class Framing {
  /** Bytes of the body; -1 when it is chunked. */
  contentLength = 0;
  keepsAlive = true;
  /** The client waits for 100 before it sends the body. */
  expectsContinue = false;
  /** Both an Upgrade field and the option in Connection, in HTTP/1.1 and without a body. */
  wantsUpgrade = false;
  /** CONNECT, which the limits allow. */
  isConnect = false;
  #hosts = 0;
  #lengths = 0;
  #codings = 0;
  #options = 0;
  #upgradeField = false;

  get isChunked(): boolean {
    return this.contentLength === AT_LENGTH_CHUNKED;
  }

  get hasBody(): boolean {
    return this.contentLength !== 0;
  }

  /** Reads a complete head. Returns why it is refused, if so. */
  read(head: RequestHead, limits: Limits): RejectCode | undefined {
    this.contentLength = 0;
    this.expectsContinue = false;
    this.wantsUpgrade = false;
    this.isConnect = false;
    this.#hosts = 0;
    this.#lengths = 0;
    this.#codings = 0;
    this.#options = 0;
    this.#upgradeField = false;
    const { count } = head;
    let host = -1;
    for (let i = 0; i < count; i += 1) {
      const length = head.nameLength(i);
      if (length === HOST) {
        if (head.isNamed(i, 'host')) {
          this.#hosts += 1;
          host = i;
        }
        continue;
      }
      const name = length < NAMES.length ? NAMES[length]! : '';
      if (name !== '' && head.isNamed(i, name)) {
        const reject = this.#readField(head, i, length);
        if (reject !== undefined) {
          return reject;
        }
      }
    }
    return this.#conclude(head, host, limits);
  }

  /** A field whose name is the one of that length. */
  #readField(head: RequestHead, i: number, length: number): RejectCode | undefined {
    const { bytes } = head;
    const from = head.valueStart(i);
    const to = head.valueEnd(i);
    switch (length) {
      case CONNECTION:
        this.#options |= readConnectionOptions(bytes, from, to);
        return undefined;
      case CONTENT_LENGTH:
        this.#lengths += 1;
        this.contentLength = readLength(bytes, from, to);
        return this.contentLength < 0 ? 'content-length' : undefined;
      case TRANSFER_ENCODING:
        this.#codings += 1;
        return readCoding(bytes, from, to);
      case UPGRADE:
        this.#upgradeField = true;
        return undefined;
      default:
        return this.#readExpect(head, from, to);
    }
  }

  #readExpect(head: RequestHead, from: number, to: number): RejectCode | undefined {
    if (head.minorVersion === 1) {
      if (!equalsIgnoringCase(head.bytes, from, to, '100-continue')) {
        return 'expect';
      }
      this.expectsContinue = true;
    }
    return undefined;
  }

  #conclude(head: RequestHead, host: number, limits: Limits): RejectCode | undefined {
    if (this.#codings > 0 && this.#lengths > 0) {
      return 'framing';
    }
    if (this.#lengths > 1) {
      return 'content-length';
    }
    if (this.#codings > 1 || (this.#codings > 0 && head.minorVersion === 0)) {
      return 'transfer-encoding';
    }
    if (this.#hosts > 1 || (this.#hosts === 0 && head.minorVersion === 1)) {
      return 'host';
    }
    const isHostGood = host < 0 || isHost(head.bytes, head.valueStart(host), head.valueEnd(host));
    if (!isHostGood) {
      return 'host';
    }
    if (head.isMethod('CONNECT')) {
      return this.#concludeConnect(head, limits);
    }
    const reject = head.isOriginForm ? undefined : checkTarget(head, host);
    if (reject !== undefined) {
      return reject;
    }
    if (this.#codings > 0) {
      this.contentLength = AT_LENGTH_CHUNKED;
    } else if (this.contentLength > limits.bodyBytesMax) {
      return 'body-length';
    }
    const options = this.#options;
    this.keepsAlive =
      (options & OPTION_CLOSE) === 0 &&
      (head.minorVersion === 1 || (options & OPTION_KEEP_ALIVE) !== 0);
    this.expectsContinue &&= this.contentLength !== 0;
    this.wantsUpgrade =
      (options & OPTION_UPGRADE) !== 0 &&
      this.#upgradeField &&
      head.minorVersion === 1 &&
      this.contentLength === 0;
    return undefined;
  }

  /** Only with a target `host:port` (RFC 9112 3.2.3) and without a body: CONNECT has none (RFC 9110 9.3.6). */
  #concludeConnect(head: RequestHead, limits: Limits): RejectCode | undefined {
    if (!limits.allowsConnect) {
      return 'connect';
    }
    if (this.#codings > 0 || this.contentLength > 0) {
      return 'framing';
    }
    const { bytes } = head;
    const from = head.base + head.targetStart;
    const to = head.base + head.targetEnd;
    let colon = to - 1;
    while (colon > from && bytes[colon] !== COLON) {
      colon -= 1;
    }
    const isGood = colon > from && colon < to - 1 && isHost(bytes, from, to);
    if (!isGood || !isPort(bytes, colon + 1, to)) {
      return 'target';
    }
    this.isConnect = true;
    this.keepsAlive = false;
    this.expectsContinue = false;
    return undefined;
  }
}

/** `uri-host [ ":" port ]` (RFC 9110 7.2); empty when the target has no authority. */
function isHost(bytes: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && REG_NAME[bytes[i]] === 1) {
    i += 1;
  }
  if (i === to) {
    return true;
  }
  if (bytes[i] === COLON) {
    return i > from && isPort(bytes, i + 1, to);
  }
  return i === from && bytes[i] === 0x5b && isIpLiteral(bytes, from, to);
}

/** `"[" 1*( HEXDIG / ":" / "." ) "]" [ ":" port ]` */
function isIpLiteral(bytes: Uint8Array, from: number, to: number): boolean {
  let i = from + 1;
  while (i < to && bytes[i] !== 0x5d) {
    const byte = LOWER[bytes[i]];
    const isHex = (byte >= ZERO && byte <= NINE) || (byte >= 0x61 && byte <= 0x66);
    if (!isHex && byte !== 0x3a && byte !== 0x2e) {
      return false;
    }
    i += 1;
  }
  if (i === from + 1 || i >= to) {
    return false;
  }
  return i + 1 === to || (bytes[i + 1] === 0x3a && isPort(bytes, i + 2, to));
}

function isPort(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) {
    if (bytes[i] < ZERO || bytes[i] > NINE) {
      return false;
    }
  }
  return to - from <= 5;
}

/** Targets that do not begin with a slash: `*` of OPTIONS, an absolute URI that agrees with Host, or nothing good. */
function checkTarget(head: RequestHead, host: number): RejectCode | undefined {
  const { bytes } = head;
  const from = head.base + head.targetStart;
  const to = head.base + head.targetEnd;
  if (equalsText(bytes, from, to, '*')) {
    return head.isMethod('OPTIONS') ? undefined : 'target';
  }
  const schemeLength = equalsIgnoringCase(bytes, from, Math.min(from + 7, to), 'http://')
    ? 7
    : equalsIgnoringCase(bytes, from, Math.min(from + 8, to), 'https://')
      ? 8
      : 0;
  if (schemeLength === 0) {
    return 'target';
  }
  const start = from + schemeLength;
  let end = start;
  while (end < to && bytes[end] !== 0x2f && bytes[end] !== 0x3f) {
    end += 1;
  }
  if (end === start || !isHost(bytes, start, end)) {
    return 'target';
  }
  if (host >= 0) {
    const authority = latin1(bytes, start, end).toLowerCase();
    if (!equalsIgnoringCase(bytes, head.valueStart(host), head.valueEnd(host), authority)) {
      return 'host';
    }
  }
  return undefined;
}
