/**
 * Frames from messages to a connection: header and payload as one write, built in a piece of memory of the thread's, so
 * that a small message costs one call and no buffer. A frame is taken whole or not at all: half of one would make
 * nonsense of all that follows.
 */

import type { Connection, WriteResult } from '../api.js';
import { threadKernel } from '../engine/thread-kernel.js';
import { CONTROL_BYTES_MAX, HEADER_BYTES_MAX, headerBytes, writeHeader } from './frame.js';
import { mask } from './mask.js';

const SCRATCH_BYTES = 32_768;
/** Payloads up to this are copied before anything is called. */
export const PAYLOAD_MAX = SCRATCH_BYTES - HEADER_BYTES_MAX;
/** UTF-8 takes at most this for each unit of a string. */
export const UTF8_BYTES_A_UNIT = 3;

/** The largest payload: its header is written with 32 bits of length. */
export const PAYLOAD_BYTES_MAX = 2 ** 31 - 1;

const scratch = Buffer.alloc(SCRATCH_BYTES);
/** A write may call the user's receipts before it has copied the bytes, and these may send. */
let isScratchTaken = false;

/** A masking key: unpredictable, as section 10.3 wants it. */
function newKey(): number {
  return threadKernel().random() | 0;
}

/** Sends a frame: `first` is its first byte. A client masks, in a copy. */
export function sendFrame(
  connection: Connection,
  first: number,
  payload: Uint8Array,
  isClient: boolean,
): WriteResult {
  const { length: byteLength } = payload;
  const key = isClient ? newKey() : undefined;
  if (byteLength <= PAYLOAD_MAX) {
    return sendSmall(connection, first, payload, key);
  }
  if (byteLength > PAYLOAD_BYTES_MAX) {
    throw new RangeError(
      `Cannot send ${byteLength} bytes: expected at most ${PAYLOAD_BYTES_MAX} in a frame`,
    );
  }
  if (key === undefined) {
    const header = Buffer.alloc(headerBytes(byteLength, false));
    writeHeader(header, 0, first, byteLength, undefined);
    return connection.writev([header, payload]);
  }
  return connection.writeOwned(encodeFrame(first, payload, key));
}

/** A frame in a buffer of its own. */
export function encodeFrame(first: number, payload: Uint8Array, key: number | undefined): Buffer {
  const frame = Buffer.allocUnsafeSlow(
    headerBytes(payload.length, key !== undefined) + payload.length,
  );
  fill(frame, first, payload, key);
  return frame;
}

function fill(target: Buffer, first: number, payload: Uint8Array, key: number | undefined): number {
  const at = writeHeader(target, 0, first, payload.length, key);
  target.set(payload, at);
  const end = at + payload.length;
  if (key !== undefined) {
    mask(target, at, end, key, 0);
  }
  return end;
}

function sendSmall(
  connection: Connection,
  first: number,
  payload: Uint8Array,
  key: number | undefined,
): WriteResult {
  if (isScratchTaken) {
    return connection.write(encodeFrame(first, payload, key));
  }
  const end = fill(scratch, first, payload, key);
  return writeScratch(connection, 0, end);
}

/** The same for text, which is encoded where it is sent from. */
export function sendText(
  connection: Connection,
  first: number,
  text: string,
  isClient: boolean,
): WriteResult {
  if (isScratchTaken || text.length * UTF8_BYTES_A_UNIT > PAYLOAD_MAX) {
    return sendFrame(connection, first, Buffer.from(text), isClient);
  }
  const byteLength = scratch.write(text, HEADER_BYTES_MAX);
  // The header ends where the text begins.
  const start = HEADER_BYTES_MAX - headerBytes(byteLength, isClient);
  const end = HEADER_BYTES_MAX + byteLength;
  const key = isClient ? newKey() : undefined;
  writeHeader(scratch, start, first, byteLength, key);
  if (key !== undefined) {
    mask(scratch, HEADER_BYTES_MAX, end, key, 0);
  }
  return writeScratch(connection, start, end);
}

function writeScratch(connection: Connection, start: number, end: number): WriteResult {
  isScratchTaken = true;
  try {
    return connection.write(scratch.subarray(start, end));
  } finally {
    isScratchTaken = false;
  }
}

/** Throws TypeError for what is no message. */
export function checkMessage(method: string, data: unknown): void {
  if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
    const what = data === null ? 'null' : typeof data;
    throw new TypeError(`Cannot ${method}: expected a string or a Uint8Array, got ${what}`);
  }
}

/** The payload of a control frame; throws TypeError or RangeError for what cannot be one. */
export function controlPayload(method: string, data: string | Uint8Array): Uint8Array {
  checkMessage(method, data);
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  if (payload.length > CONTROL_BYTES_MAX) {
    throw new RangeError(
      `Cannot ${method}: expected at most ${CONTROL_BYTES_MAX} bytes, got ${payload.length}`,
    );
  }
  return payload;
}
