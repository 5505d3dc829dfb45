/**
 * A published message as it travels between reactors: a mark, the topic, and the frame as the subscribers get it, which
 * is encoded once for all of them. All offsets are in bytes:
 *
 *     0  mark            4  length of the topic   6  where the payload begins   8  topic, then the frame
 */

import { BINARY, FIN, headerBytes, TEXT, writeHeader } from './frame.js';
import { checkMessage } from './send-frame.js';

/** Tells the hub's messages from the program's own. */
const MARK = 0x006d_7250;
const TOPIC_AT = 8;
export const TOPIC_BYTES_MAX = 256;
/** A reactor takes no larger message from another one. */
const LETTER_BYTES_MAX = 16 * 1024 * 1024;

export interface Publication {
  readonly topic: string;
  /** The whole uncompressed frame. */
  readonly frame: Buffer;
  /** The payload within it. */
  readonly payload: Buffer;
  /** The frame's first byte. */
  readonly first: number;
}

/** For `publish`, and for `server.broadcast` of the thread that called `serve`, which has no hub. */
export function encodePublication(
  topic: string,
  data: string | Uint8Array,
  options: { readonly isBinary?: boolean } = {},
): Buffer {
  checkMessage('publish', data);
  const name = Buffer.from(topic);
  if (name.length === 0 || name.length > TOPIC_BYTES_MAX) {
    throw new TypeError(`Expected a topic of 1 to ${TOPIC_BYTES_MAX} bytes, got ${topic}`);
  }
  const isBinary = options.isBinary ?? typeof data !== 'string';
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  const frameAt = TOPIC_AT + name.length;
  const payloadAt = frameAt + headerBytes(payload.length, false);
  const byteLength = payloadAt + payload.length;
  if (byteLength > LETTER_BYTES_MAX) {
    throw new RangeError(
      `Cannot publish ${payload.length} bytes: expected at most ${LETTER_BYTES_MAX} with topic and headers`,
    );
  }
  const letter = Buffer.allocUnsafeSlow(byteLength);
  letter.writeUInt32BE(MARK, 0);
  letter.writeUInt16BE(name.length, 4);
  letter.writeUInt16BE(payloadAt, 6);
  letter.set(name, TOPIC_AT);
  writeHeader(letter, frameAt, FIN | (isBinary ? BINARY : TEXT), payload.length, undefined);
  letter.set(payload, payloadAt);
  return letter;
}

/** Undefined for what is no publication. */
export function decodePublication(letter: Buffer): Publication | undefined {
  if (letter.length < TOPIC_AT + 3 || letter.readUInt32BE(0) !== MARK) {
    return undefined;
  }
  const frameAt = TOPIC_AT + letter.readUInt16BE(4);
  const payloadAt = letter.readUInt16BE(6);
  if (payloadAt <= frameAt || payloadAt > letter.length) {
    return undefined;
  }
  return {
    topic: letter.toString('utf8', TOPIC_AT, frameAt),
    frame: letter.subarray(frameAt),
    payload: letter.subarray(payloadAt),
    first: letter[frameAt],
  };
}
