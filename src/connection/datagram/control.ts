/**
 * Ancillary data (cmsg(3)): finding one message among those that the kernel wrote, and writing one. Each begins at a
 * multiple of 8 bytes.
 */

import { CMSGHDR_LENGTH, CMSGHDR_LEVEL, CMSGHDR_SIZE, CMSGHDR_TYPE } from '../../base/layout.js';

/** The data of the first message of that level and type in `length` bytes at `at`: where they begin, or -1. */
export function findControl(
  words: Int32Array,
  at: number,
  length: number,
  level: number,
  type: number,
): number {
  const end = at + length;
  for (let head = at; head + CMSGHDR_SIZE <= end; ) {
    const byteLength = words[(head + CMSGHDR_LENGTH) >> 2];
    if (byteLength < CMSGHDR_SIZE || head + byteLength > end) {
      return -1;
    }
    if (
      words[(head + CMSGHDR_LEVEL) >> 2] === level &&
      words[(head + CMSGHDR_TYPE) >> 2] === type
    ) {
      return head + CMSGHDR_SIZE;
    }
    head += align(byteLength);
  }
  return -1;
}

/** Writes the head of a message with `dataBytes` of data, which belong at `at` + CMSGHDR_SIZE; returns its end. */
export function putControl(
  words: Int32Array,
  at: number,
  level: number,
  type: number,
  dataBytes: number,
): number {
  words[(at + CMSGHDR_LENGTH) >> 2] = CMSGHDR_SIZE + dataBytes;
  words[((at + CMSGHDR_LENGTH) >> 2) + 1] = 0;
  words[(at + CMSGHDR_LEVEL) >> 2] = level;
  words[(at + CMSGHDR_TYPE) >> 2] = type;
  return at + align(CMSGHDR_SIZE + dataBytes);
}

function align(byteLength: number): number {
  return (byteLength + 7) & ~7;
}
