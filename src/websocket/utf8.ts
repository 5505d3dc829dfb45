/**
 * UTF-8 validity (RFC 3629) of text that comes in pieces: a state is carried from piece to piece, and text that no
 * continuation could make valid is refused at the first wrong byte, as RFC 6455 section 8.1 allows and endpoints like.
 *
 * Whole pieces are checked by Node's `isUtf8` (SIMD); what a character is torn into, byte by byte.
 */

import { isUtf8 } from 'node:buffer';

/**
 * A state says which bytes may come next: how many continuation bytes are missing (low two bits), and for the first of
 * them its lowest and highest value, since E0, ED, F0 and F4 restrict it. 0 is the state between characters.
 */
export const UTF8_START = 0;
/** No state follows: the text is invalid. */
export const UTF8_INVALID = -1;

/** Below these many bytes a loop is faster than native code, and than a view for it (bench/websocket-codec.ts). */
const NATIVE_FROM = 16;
const NATIVE_PIECE_FROM = 40;

function stateOf(missing: number, lowest: number, highest: number): number {
  return (highest << 16) | (lowest << 8) | missing;
}

const ANY_OF_1 = stateOf(1, 0x80, 0xbf);
const ANY_OF_2 = stateOf(2, 0x80, 0xbf);
const ANY_OF_3 = stateOf(3, 0x80, 0xbf);
const AFTER_E0 = stateOf(2, 0xa0, 0xbf);
const AFTER_ED = stateOf(2, 0x80, 0x9f);
const AFTER_F0 = stateOf(3, 0x90, 0xbf);
const AFTER_F4 = stateOf(3, 0x80, 0x8f);

/** The state after `byte` at the start of a character that is not ASCII. */
function afterLead(byte: number): number {
  if (byte < 0xe0) {
    return byte < 0xc2 ? UTF8_INVALID : ANY_OF_1;
  }
  if (byte < 0xf0) {
    return byte === 0xe0 ? AFTER_E0 : byte === 0xed ? AFTER_ED : ANY_OF_2;
  }
  if (byte > 0xf4) {
    return UTF8_INVALID;
  }
  return byte === 0xf0 ? AFTER_F0 : byte === 0xf4 ? AFTER_F4 : ANY_OF_3;
}

/** The state after `byte`. */
function step(state: number, byte: number): number {
  if (state === UTF8_START) {
    return byte < 0x80 ? UTF8_START : afterLead(byte);
  }
  if (byte < ((state >>> 8) & 0xff) || byte > state >>> 16) {
    return UTF8_INVALID;
  }
  const missing = (state & 3) - 1;
  return missing === 0 ? UTF8_START : missing === 1 ? ANY_OF_1 : ANY_OF_2;
}

function walk(state: number, bytes: Uint8Array, start: number, end: number): number {
  let now = state;
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i];
    if (now !== UTF8_START || byte >= 0x80) {
      now = step(now, byte);
      if (now === UTF8_INVALID) {
        return now;
      }
    }
  }
  return now;
}

/** Where the last character of `bytes[start..end)` begins if it is not complete; otherwise `end`. */
function tornFrom(bytes: Uint8Array, start: number, end: number): number {
  for (let back = 1; back <= 3 && end - back >= start; back += 1) {
    const byte = bytes[end - back];
    if (byte < 0x80) {
      return end;
    }
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? end - back : end;
    }
  }
  return end;
}

/** The state after `bytes[start..end)`, from the state before: UTF8_START at the start of a text. */
export function checkUtf8(state: number, bytes: Buffer, start: number, end: number): number {
  if (end - start < NATIVE_PIECE_FROM) {
    return walk(state, bytes, start, end);
  }
  let at = start;
  let now = state;
  while (now !== UTF8_START && at < end) {
    now = step(now, bytes[at]);
    if (now === UTF8_INVALID) {
      return now;
    }
    at += 1;
  }
  const torn = tornFrom(bytes, at, end);
  if (!isUtf8(bytes.subarray(at, torn))) {
    return UTF8_INVALID;
  }
  return walk(UTF8_START, bytes, torn, end);
}

/** The same for a text that is there as a whole. */
export function isWholeUtf8(bytes: Buffer): boolean {
  return bytes.length < NATIVE_FROM
    ? walk(UTF8_START, bytes, 0, bytes.length) === UTF8_START
    : isUtf8(bytes);
}
