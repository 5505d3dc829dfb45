/**
 * Messages to bytes: `encodeFrame` for who wants them, `sendFrame` for connections. Small frames are put together in
 * one buffer of the thread's and written at once; of large ones nothing is copied here.
 */

import type { Connection, WriteResult } from '../api.js';
import type { Codec } from './codec.js';
import { NO_BYTES, Seal } from './framing.js';

/** Up to here, copying is cheaper than a call with several pieces. */
const GATHER_BYTES = 16_384;

const LOOP_BYTES = 16;

const SEAL = new Seal();
let gathered: Buffer | undefined;

function seal<Out>(codec: Codec<unknown, Out>, message: Out): Uint8Array {
  const encoded = codec.encode(message);
  const payload = typeof encoded === 'string' ? Buffer.from(encoded) : encoded;
  if (!(payload instanceof Uint8Array)) {
    throw new TypeError(`Expected a Uint8Array or a string to send, got ${typeof payload}`);
  }
  SEAL.head = NO_BYTES;
  SEAL.skip = 0;
  SEAL.tail = NO_BYTES;
  codec.framing.seal(payload, SEAL);
  return payload;
}

/** Head, payload and tail one after the other; answers how many bytes that is. */
function gather(payload: Uint8Array, room: Uint8Array): number {
  const { head, skip, tail } = SEAL;
  let at = place(head, room, 0);
  room.set(skip === 0 ? payload : payload.subarray(skip), at);
  at += payload.length - skip;
  return at + place(tail, room, at);
}

/** Heads and tails have a few bytes, or none: a loop is quicker than a call. */
function place(bytes: Uint8Array, room: Uint8Array, at: number): number {
  const { length: byteLength } = bytes;
  if (byteLength > LOOP_BYTES) {
    room.set(bytes, at);
  } else {
    for (let i = 0; i < byteLength; i += 1) {
      room[at + i] = bytes[i];
    }
  }
  return byteLength;
}

function sealedBytes(payload: Uint8Array): number {
  return SEAL.head.length + payload.length - SEAL.skip + SEAL.tail.length;
}

/**
 * The frame of a message, as bytes of the caller's own.
 *
 * @throws RangeError, TypeError for a message that no frame of this codec can carry; what `encode` throws.
 */
export function encodeFrame<Out>(codec: Codec<unknown, Out>, message: Out): Buffer {
  const payload = seal(codec, message);
  const frame = Buffer.allocUnsafe(sealedBytes(payload));
  gather(payload, frame);
  return frame;
}

/** Writes the frame of a message: all of it or, with `full` and `closed`, nothing. Throws as `encodeFrame` does. */
export function sendFrame<Out>(
  connection: Connection,
  codec: Codec<unknown, Out>,
  message: Out,
): WriteResult {
  const payload = seal(codec, message);
  const byteLength = sealedBytes(payload);
  if (byteLength === payload.length && SEAL.skip === 0) {
    return connection.write(payload);
  }
  if (byteLength <= GATHER_BYTES) {
    // A connection copies what it cannot send at once.
    gathered ??= Buffer.allocUnsafeSlow(GATHER_BYTES);
    const n = gather(payload, gathered);
    return connection.write(gathered.subarray(0, n));
  }
  const { head, skip, tail } = SEAL;
  return connection.writev([head, skip === 0 ? payload : payload.subarray(skip), tail]);
}
