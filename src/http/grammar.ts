/**
 * The byte classes of RFC 9110 and RFC 9112 as tables of 256 entries, and comparisons of names in the bytes as they
 * were received. A table look-up costs the same for good and bad bytes, and no regular expression ever sees what a peer
 * sent. Used by everything that reads or checks HTTP text.
 */

export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const TAB = 0x09;
export const COLON = 0x3a;

const ALPHA = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGIT = '0123456789';

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i += 1) {
    table[characters.charCodeAt(i)] = 1;
  }
  return table;
}

function tableOfRange(from: number, to: number, except: string): Uint8Array {
  const table = new Uint8Array(256).fill(1, from, to + 1);
  for (let i = 0; i < except.length; i += 1) {
    table[except.charCodeAt(i)] = 0;
  }
  return table;
}

/** `tchar` of RFC 9110 5.6.2: methods, field names, codings. */
export const TOKEN = tableOf(`${ALPHA}${DIGIT}!#$%&'*+-.^_\`|~`);

/** Bytes of a field value: VCHAR, obs-text, SP and HTAB (RFC 9110 5.5). No CR, LF, NUL or other control character. */
export const FIELD_VALUE = tableOfRange(0x20, 0xff, '\x7f');
FIELD_VALUE[TAB] = 1;

/**
 * Bytes of a request target. RFC 3986 allows fewer; those that browsers send raw in a query (`|`, `{`, `^`) pass, and
 * those that no client sends and that others read in different ways do not: the fragment's `#`, `\`, `"`, `<`, `>`.
 */
export const TARGET = tableOfRange(0x21, 0x7e, '#\\"<>');

/** Bytes of the name in a Host value: reg-name and IPv4address (RFC 3986 3.2.2), without the list separator. */
export const REG_NAME = tableOf(`${ALPHA}${DIGIT}-._~%!$&'()*+;=`);

/** The value of a hexadecimal digit, 255 for all others. */
export const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i += 1) {
  const digit = i.toString(16);
  HEX[digit.charCodeAt(0)] = i;
  HEX[digit.toUpperCase().charCodeAt(0)] = i;
}

/** Lower case of ASCII letters, other bytes as they are. */
export const LOWER = new Uint8Array(256);
for (let i = 0; i < 256; i += 1) {
  LOWER[i] = i >= 0x41 && i <= 0x5a ? i + 0x20 : i;
}

/** Whether the bytes from `start` to `end` are `name`, whatever their case. `name` must be in lower case. */
export function equalsIgnoringCase(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: string,
): boolean {
  if (end - start !== name.length) {
    return false;
  }
  for (let i = 0; i < name.length; i += 1) {
    if (LOWER[bytes[start + i]] !== name.charCodeAt(i)) {
      return false;
    }
  }
  return true;
}

/** Whether the bytes from `start` to `end` are exactly `text`, which must be ASCII. */
export function equalsText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) {
    return false;
  }
  for (let i = 0; i < text.length; i += 1) {
    if (bytes[start + i] !== text.charCodeAt(i)) {
      return false;
    }
  }
  return true;
}

/** Whether a string is a token (RFC 9110 5.6.2), hence not empty. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f || TOKEN[code] === 0) {
      return false;
    }
  }
  return text.length > 0;
}

/** Whether a string may stand as a field value or reason phrase: in latin1, and without control characters. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0xff || FIELD_VALUE[code] === 0) {
      return false;
    }
  }
  return true;
}

/** What Node's buffers have beside their types: the call behind `toString('latin1')`, without its checks. */
interface Latin1Bytes {
  latin1Slice(start: number, end: number): string;
}

/** The bytes from `start` to `end` as text, one character for each (ISO 8859-1). */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Bytes).latin1Slice(start, end);
}
