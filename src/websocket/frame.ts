/**
 * The frame header of RFC 6455 section 5.2, as numbers:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
 *     |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
 *     |N|V|V|V|       |S|             |   (if payload len==126/127)   |
 *     | |1|2|3|       |K|             |                               |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |                masking key, if MASK is set                    |
 *     +---------------------------------------------------------------+
 */

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export const FIN = 0x80;
export const RSV1 = 0x40;
export const RSV23 = 0x30;
export const OPCODE = 0x0f;
/** The bit of the opcode that control frames have. */
export const CONTROL = 0x08;
export const MASKED = 0x80;

/** The payload of a control frame (section 5.5). */
export const CONTROL_BYTES_MAX = 125;
export const HEADER_BYTES_MAX = 14;

/** Bytes of the header of a frame of ours. */
export function headerBytes(payloadBytes: number, isMasked: boolean): number {
  const base = payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
  return isMasked ? base + 4 : base;
}

/**
 * Writes a header at `at` and returns where the payload begins. `first` is the first byte: FIN, RSV1 and opcode. With
 * a `key` (see mask.ts), it is of a masked frame. Payloads are below 2^31 bytes.
 */
export function writeHeader(
  target: Uint8Array,
  at: number,
  first: number,
  payloadBytes: number,
  key: number | undefined,
): number {
  const masked = key === undefined ? 0 : MASKED;
  let next = at;
  target[next++] = first;
  if (payloadBytes < 126) {
    target[next++] = masked | payloadBytes;
  } else if (payloadBytes < 65_536) {
    target[next++] = masked | 126;
    target[next++] = payloadBytes >>> 8;
    target[next++] = payloadBytes;
  } else {
    target[next++] = masked | 127;
    target.fill(0, next, next + 4);
    next += 4;
    target[next++] = payloadBytes >>> 24;
    target[next++] = payloadBytes >>> 16;
    target[next++] = payloadBytes >>> 8;
    target[next++] = payloadBytes;
  }
  if (key !== undefined) {
    target[next++] = key;
    target[next++] = key >>> 8;
    target[next++] = key >>> 16;
    target[next++] = key >>> 24;
  }
  return next;
}
