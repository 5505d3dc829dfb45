/**
 * Frames as a peer writes them, right or wrong, made from RFC 6455 section 5.2 without anything of the library; and a
 * reader of what the library sends, which checks that it is in order.
 */

import assert from 'node:assert/strict';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

export interface FrameOptions {
  readonly fin?: boolean;
  /** RSV bits as the number 0 to 7: RSV1 is 4. */
  readonly rsv?: number;
  /** Four bytes, or none for an unmasked frame. */
  readonly mask?: Uint8Array | undefined;
  /** Forces the form of the length: 7, 16 or 64 bits. */
  readonly lengthBits?: 7 | 16 | 64;
  /** Announces this length instead of the payload's. */
  readonly length?: bigint;
}

export function frame(
  opcode: number,
  payload: Uint8Array | string = '',
  options: FrameOptions = {},
): Buffer {
  const data = Buffer.from(payload as string);
  const length = options.length ?? BigInt(data.length);
  const bits = options.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10);
  head[0] = ((options.fin ?? true) ? 0x80 : 0) | ((options.rsv ?? 0) << 4) | opcode;
  head[1] = bits === 7 ? Number(length) : bits === 16 ? 126 : 127;
  if (bits === 16) head.writeUInt16BE(Number(length), 2);
  if (bits === 64) head.writeBigUInt64BE(length, 2);
  const { mask } = options;
  if (mask === undefined) return Buffer.concat([head, data]);
  head[1] |= 0x80;
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ mask[i % 4]!)]);
}

export const MASK: Uint8Array = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/** The same as a client sends it. */
export function masked(
  opcode: number,
  payload: Uint8Array | string = '',
  options: FrameOptions = {},
): Buffer {
  return frame(opcode, payload, { mask: MASK, ...options });
}

export function closePayload(code: number, reason: Uint8Array | string = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason as string)]);
}

export interface ReadFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly isMasked: boolean;
  readonly payload: Buffer;
}

/** Takes one frame from the start of `bytes`; undefined if it is not all there. */
export function readFrame(bytes: Buffer): { frame: ReadFrame; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const isMasked = bytes[1]! >= 0x80;
  let at = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
  if (bytes.length < at + (isMasked ? 4 : 0)) return undefined;
  let length = short;
  if (short === 126) length = bytes.readUInt16BE(2);
  if (short === 127) length = Number(bytes.readBigUInt64BE(2));
  assert.ok(short !== 126 || length >= 126, 'the length is in its shortest form');
  assert.ok(short !== 127 || length >= 65_536, 'the length is in its shortest form');
  const key = isMasked ? bytes.subarray(at, at + 4) : undefined;
  at += isMasked ? 4 : 0;
  if (bytes.length < at + length) return undefined;
  const data = Buffer.from(bytes.subarray(at, at + length));
  const payload = key === undefined ? data : data.map((byte, i) => byte ^ key[i % 4]!);
  const first = bytes[0]!;
  return {
    frame: {
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      opcode: first & 15,
      isMasked,
      payload: Buffer.from(payload),
    },
    size: at + length,
  };
}

/** All frames of a stream that holds whole frames. */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const frames: ReadFrame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = readFrame(bytes.subarray(at));
    assert.ok(next !== undefined, `the stream ends within a frame, at ${at} of ${bytes.length}`);
    frames.push(next.frame);
    at += next.size;
  }
  return frames;
}

/** A binary message of as many fragments, whose last is not its end. */
export function oneByteFragments(count: number): Buffer {
  const first = masked(OP.BINARY, 'a', { fin: false });
  const next = masked(OP.CONTINUATION, 'a', { fin: false });
  const all = Buffer.alloc(first.length + next.length * (count - 1), next);
  first.copy(all);
  next.copy(all, first.length);
  for (let at = first.length; at < all.length; at += next.length) next.copy(all, at);
  return all;
}
