/**
 * The XOR of RFC 6455 section 5.3, in place. A key is one 32-bit number with the key's first byte lowest, so that on
 * the little-endian machines that millrace runs on a whole aligned word is masked with one operation.
 *
 * Long payloads go word by word over an Int32Array on the same memory, ten times as fast as byte by byte; making
 * such a view costs as much as some hundred bytes (measured: bench/websocket-codec.ts), so the last one is kept: frames
 * come from the driver's few receive buffers.
 */

/** Below this many bytes the loop over bytes is faster than finding the view (bench/websocket-codec.ts). */
const WORDS_FROM = 64;

let viewed: ArrayBufferLike | undefined;
let words: Int32Array = new Int32Array(0);

/**
 * Masks `bytes[start..end)` in place. `phase` is the number of the frame's payload bytes that came before, modulo 4.
 * Masking twice is unmasking.
 */
export function mask(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  phase: number,
): void {
  let rotated = phase === 0 ? key : (key >>> (8 * phase)) | (key << (32 - 8 * phase));
  let at = start;
  if (end - start >= WORDS_FROM) {
    const offset = bytes.byteOffset;
    while (((offset + at) & 3) !== 0) {
      bytes[at] ^= rotated;
      rotated = (rotated >>> 8) | (rotated << 24);
      at += 1;
    }
    const view = wordsOf(bytes.buffer);
    const wordEnd = (offset + end) >>> 2;
    let word = (offset + at) >>> 2;
    for (; word + 4 <= wordEnd; word += 4) {
      view[word] ^= rotated;
      view[word + 1] ^= rotated;
      view[word + 2] ^= rotated;
      view[word + 3] ^= rotated;
    }
    for (; word < wordEnd; word += 1) {
      view[word] ^= rotated;
    }
    at = (wordEnd << 2) - offset;
  }
  const k0 = rotated & 0xff;
  const k1 = (rotated >>> 8) & 0xff;
  const k2 = (rotated >>> 16) & 0xff;
  const k3 = rotated >>> 24;
  for (; at + 4 <= end; at += 4) {
    bytes[at] ^= k0;
    bytes[at + 1] ^= k1;
    bytes[at + 2] ^= k2;
    bytes[at + 3] ^= k3;
  }
  if (at < end) {
    bytes[at] ^= k0;
    if (at + 1 < end) {
      bytes[at + 1] ^= k1;
      if (at + 2 < end) {
        bytes[at + 2] ^= k2;
      }
    }
  }
}

/** Word indices fit 31 bits: the buffers of frames are below 2^31 bytes. */
function wordsOf(buffer: ArrayBufferLike): Int32Array {
  if (buffer !== viewed) {
    viewed = buffer;
    words = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  }
  return words;
}
