/** Sec-WebSocket-Key and Sec-WebSocket-Accept (RFC 6455 sections 4.1 and 4.2.2): they prove that a server speaks it. */

import { createHash } from 'node:crypto';

import { threadKernel } from '../engine/thread-kernel.js';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** 16 bytes in base64. */
const KEY_LENGTH = 24;

export function acceptOf(key: string): string {
  return createHash('sha1').update(key).update(GUID).digest('base64');
}

/** A new key: 16 random bytes. */
export function makeKey(): string {
  const bytes = Buffer.alloc(16);
  for (let at = 0; at < 16; at += 4) {
    bytes.writeUInt32LE(threadKernel().random(), at);
  }
  return bytes.toString('base64');
}

/** Whether it is the base64 of 16 bytes. */
export function isKey(key: string): boolean {
  return key.length === KEY_LENGTH && Buffer.from(key, 'base64').toString('base64') === key;
}
