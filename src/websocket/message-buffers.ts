/**
 * Buffers in which messages grow: powers of two, of which the thread keeps a few when they are let go. A message that
 * comes in many pieces takes a whole chain of them, and without this each would be new memory, to be faulted in by the
 * kernel, and garbage that makes V8 collect early: most of what such a message costs, and what a peer that sends
 * nothing else would make us pay again and again.
 *
 * What is kept is bounded, and of the thread: idle connections hold none of it.
 */

/** 1 KiB and 1 MiB. */
const SMALLEST_BITS = 10;
const LARGEST_BITS = 20;
/** Of each size: a message may be inflated from one into the other. Together at most 4 MiB. */
const SPARES_MAX = 2;

const spares: Buffer[][] = Array.from({ length: LARGEST_BITS + 1 }, () => []);

/** Which power of two a size is, if it is one that is kept; else -1. */
function bitsOf(byteLength: number): number {
  const bits = 31 - Math.clz32(byteLength);
  return 1 << bits === byteLength && bits >= SMALLEST_BITS && bits <= LARGEST_BITS ? bits : -1;
}

/**
 * A buffer for `needed` bytes and about as many more, but for no more than `max`, unless `needed` is. Its contents are
 * anything: only what was written to it may be shown.
 */
export function takeBuffer(needed: number, max: number): Buffer {
  const wanted = Math.max(needed * 2, 1 << SMALLEST_BITS);
  const rounded = wanted > 1 << LARGEST_BITS ? wanted : 1 << (32 - Math.clz32(wanted - 1));
  const size = Math.max(needed, Math.min(rounded, max));
  const bits = bitsOf(size);
  const spare = bits < 0 ? undefined : spares[bits]!.pop();
  // Not from Node's shared pool.
  return spare ?? Buffer.allocUnsafeSlow(size);
}

/** Gives a buffer of `takeBuffer` back, which nobody may use any more. */
export function giveBuffer(buffer: Buffer): void {
  const bits = bitsOf(buffer.length);
  if (bits >= 0 && spares[bits]!.length < SPARES_MAX) {
    spares[bits]!.push(buffer);
  }
}
