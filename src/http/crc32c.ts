/** CRC-32C (Castagnoli; RFC 3720 appendix B.4), for short inputs: a table of 256 entries. */

/** 0x1edc6f41, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = new Uint32Array(256);
for (let i = 0; i < 256; i += 1) {
  let remainder = i;
  for (let bit = 0; bit < 8; bit += 1) {
    remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ POLYNOMIAL : remainder >>> 1;
  }
  TABLE[i] = remainder;
}

export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum = TABLE[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
  }
  return (sum ^ 0xffff_ffff) >>> 0;
}
