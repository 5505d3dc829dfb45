/** Bytes for buffer tests: made from a seed, of few values, so that delimiters and near misses are frequent. */

const ALPHABET = Buffer.from('ab\r\n');

/** `byteLength` bytes of `alphabet`, the same ones for the same seed. */
export function seededBytes(
  byteLength: number,
  seed: number,
  alphabet: Uint8Array = ALPHABET,
): Buffer {
  const bytes = Buffer.alloc(byteLength);
  let state = (seed ^ 0x9e3779b9) >>> 0;
  for (let i = 0; i < byteLength; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = alphabet[(state >>> 16) % alphabet.length]!;
  }
  return bytes;
}
