/**
 * The fields that frame a message, as they are read in requests and in responses alike (RFC 9112 6.1, 6.2 and 9.1):
 * Content-Length, Transfer-Encoding and the options of Connection. Every doubt about a length or a coding is an error.
 */

import { equalsIgnoringCase, SP, TAB, TOKEN } from './grammar.js';

/** Bits of `readConnectionOptions`. */
export const OPTION_CLOSE = 1;
export const OPTION_KEEP_ALIVE = 2;
export const OPTION_UPGRADE = 4;

const ZERO = 0x30;
const NINE = 0x39;
const COMMA = 0x2c;
/** Decimal digits of Number.MAX_SAFE_INTEGER. */
const LENGTH_DIGITS_MAX = 16;

/** The options of a Connection field that mean something, as bits. */
export function readConnectionOptions(bytes: Uint8Array, from: number, to: number): number {
  // What nearly all who send the field say.
  if (equalsIgnoringCase(bytes, from, to, 'keep-alive')) {
    return OPTION_KEEP_ALIVE;
  }
  let options = 0;
  let start = from;
  while (start < to) {
    let end = start;
    while (end < to && bytes[end] !== COMMA) {
      end += 1;
    }
    let first = start;
    let last = end;
    while (first < last && isSpace(bytes[first])) {
      first += 1;
    }
    while (last > first && isSpace(bytes[last - 1])) {
      last -= 1;
    }
    if (equalsIgnoringCase(bytes, first, last, 'close')) {
      options |= OPTION_CLOSE;
    } else if (equalsIgnoringCase(bytes, first, last, 'keep-alive')) {
      options |= OPTION_KEEP_ALIVE;
    } else if (equalsIgnoringCase(bytes, first, last, 'upgrade')) {
      options |= OPTION_UPGRADE;
    }
    start = end + 1;
  }
  return options;
}

/** 1*DIGIT without leading zeros, up to 2^53 - 1; -1 for anything else. */
export function readLength(bytes: Uint8Array, from: number, to: number): number {
  const digits = to - from;
  const isPadded = bytes[from] === ZERO && digits > 1;
  if (digits === 0 || digits > LENGTH_DIGITS_MAX || isPadded || hasTabAfter(bytes, to)) {
    return -1;
  }
  let length = 0;
  for (let i = from; i < to; i += 1) {
    if (bytes[i] < ZERO || bytes[i] > NINE) {
      return -1;
    }
    length = length * 10 + (bytes[i] - ZERO);
  }
  return length > Number.MAX_SAFE_INTEGER ? -1 : length;
}

/** `chunked` alone is right; another coding is one that we do not have; everything else is no list of codings. */
export function readCoding(
  bytes: Uint8Array,
  from: number,
  to: number,
): 'transfer-encoding' | 'transfer-coding' | undefined {
  if (hasTabAfter(bytes, to)) {
    return 'transfer-encoding';
  }
  if (equalsIgnoringCase(bytes, from, to, 'chunked')) {
    return undefined;
  }
  if (from === to || equalsIgnoringCase(bytes, from, to, 'identity')) {
    return 'transfer-encoding';
  }
  for (let i = from; i < to; i += 1) {
    if (TOKEN[bytes[i]] === 0) {
      return 'transfer-encoding';
    }
  }
  return 'transfer-coding';
}

/** A tab after a value is white space as a space is, but not to every peer: not where it is about framing. */
function hasTabAfter(bytes: Uint8Array, to: number): boolean {
  let i = to;
  while (bytes[i] === SP) {
    i += 1;
  }
  return bytes[i] === TAB;
}

function isSpace(byte: number): boolean {
  return byte === SP || byte === TAB;
}
