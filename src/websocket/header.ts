/** Reading a frame's header (RFC 6455 section 5.2; the picture is in frame.ts), for receiver.ts. */

import { MASKED } from './frame.js';

/** The header that was parsed last: one for all, since nothing comes between parsing and use. */
export const header = { first: 0, isMasked: false, length: 0, key: 0 };

/**
 * Parses the header at `at` into `header`; returns where the payload begins, or -1 if it is not complete. A length that
 * is not in its shortest form, or has its highest bit set (section 5.2), becomes -1; one above 2^53 is not exact, and
 * too big anyway.
 */
export function parseHeader(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) {
    return -1;
  }
  const second = bytes[at + 1];
  const isMasked = (second & MASKED) !== 0;
  const short = second & 0x7f;
  let next = at + 2 + (short < 126 ? 0 : short === 126 ? 2 : 8);
  const payload = isMasked ? next + 4 : next;
  if (payload > end) {
    return -1;
  }
  let length = short;
  if (short === 126) {
    length = (bytes[at + 2] << 8) | bytes[at + 3];
    length = length < 126 ? -1 : length;
  } else if (short === 127) {
    length = bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6);
    length = length < 65_536 || bytes[at + 2] >= 0x80 ? -1 : length;
  }
  header.first = bytes[at];
  header.isMasked = isMasked;
  header.length = length;
  if (isMasked) {
    header.key =
      bytes[next] | (bytes[next + 1] << 8) | (bytes[next + 2] << 16) | (bytes[next + 3] << 24);
    next += 4;
  }
  return payload;
}
