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
  const rotated = rotate(key, phase);
  if (end - start < WORDS_FROM) {
    maskBytes(bytes, start, end, rotated);
    return;
  }
  const offset = bytes.byteOffset;
  const unaligned = -(offset + start) & 3;
  const from = start + unaligned;
  const aligned = rotate(rotated, unaligned);
  const blocks = (end - from) >>> 4;
  maskBytes(bytes, start, from, rotated);
  maskBlocks(wordsOf(bytes.buffer), (offset + from) >>> 2, blocks, aligned);
  maskBytes(bytes, from + blocks * 16, end, aligned);
}

/** The key as it is for what comes `bytes` bytes later. */
function rotate(key: number, bytes: number): number {
  return bytes === 0 ? key : (key >>> (8 * bytes)) | (key << (32 - 8 * bytes));
}

/**
 * Blocks of 16 bytes. A function of its own, with nothing after the loop: V8 compiles a long loop while it runs, with
 * guards instead of code for what it has not seen run yet, and keeps what it made when it is such a guard behind the
 * loop that fails. So of one function that did it all, every call would end in a deoptimization, at ten times the time.
 */
function maskBlocks(view: Int32Array, from: number, blocks: number, key: number): void {
  const end = from + blocks * 4;
  for (let word = from; word < end; word += 4) {
    view[word] ^= key;
    view[word + 1] ^= key;
    view[word + 2] ^= key;
    view[word + 3] ^= key;
  }
}

function maskBytes(bytes: Uint8Array, start: number, end: number, key: number): void {
  const k0 = key & 0xff;
  const k1 = (key >>> 8) & 0xff;
  const k2 = (key >>> 16) & 0xff;
  const k3 = key >>> 24;
  let at = start;
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
