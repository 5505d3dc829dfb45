/**
 * Streams of noise that can be made again anywhere from a seed and a position, so that both sides of a connection can
 * check what they got without having been told. Also the seed of a run: `MILLRACE_SEED=7 npm test -- e2e` draws others.
 */

import { createHash } from 'node:crypto';

import { Random } from '../sim/random.js';

/** A prime, so that no shift by a power of two, such as a block that was skipped, gives the same bytes. */
const PERIOD = 262_139;

/** Two periods, so that any range of up to one lies in one piece. */
const block = makeBlock();

function makeBlock(): Buffer {
  const bytes = Buffer.alloc(PERIOD * 2);
  new Random(0x6d69_6c6c).fill(bytes.subarray(0, PERIOD));
  bytes.copyWithin(PERIOD, 0, PERIOD);
  return bytes;
}

/** The most bytes of one `noiseAt`. */
export const NOISE_BYTES_MAX: number = PERIOD;

/** `length` bytes of stream `seed` from `position` on, as a view that must not be changed. */
export function noiseAt(seed: number, position: number, length: number): Buffer {
  const start = (seed * 7919 + position) % PERIOD;
  return block.subarray(start, start + Math.min(length, PERIOD));
}

/** The first `length` bytes of stream `seed`, as a copy. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += PERIOD) {
    noiseAt(seed, at, length - at).copy(bytes, at);
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** SHA-256 of the first `length` bytes of a stream, in hexadecimal. */
export function noiseHash(seed: number, length: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < length; at += PERIOD) {
    hash.update(noiseAt(seed, at, length - at));
  }
  return hash.digest('hex');
}

/** The generator of one test: the same for each run unless MILLRACE_SEED says otherwise. */
export function randomOf(name: string): Random {
  let stream = 0;
  for (const character of name) {
    stream = (Math.imul(stream, 31) + character.charCodeAt(0)) >>> 0;
  }
  return new Random(Number(process.env.MILLRACE_SEED ?? 1), stream);
}

/** Cuts `length` bytes at random places: the lengths of the pieces, of `most` bytes at most. */
export function randomCuts(random: Random, length: number, most: number): number[] {
  const cuts: number[] = [];
  let rest = length;
  while (rest > 0) {
    const size = Math.min(rest, Math.ceil(random.logarithmic(1, most)));
    cuts.push(size);
    rest -= size;
  }
  return cuts;
}
