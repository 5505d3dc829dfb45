/**
 * Short texts that come again and again, such as request targets: bytes that were seen before get the string that was
 * made of them then. Finding it costs less than making another (a call into the runtime and an object), and comparing
 * it is a comparison of pointers for whoever looks it up. Bounded: a text replaces the one that is in its place.
 */

import { equalsText, latin1 } from './grammar.js';

const PLACES = 256;
/** Longer ones are seldom the same twice. */
const LENGTH_MAX = 64;

export class TextCache {
  readonly #texts: string[] = new Array(PLACES).fill('');

  /** The bytes from `start` to `end` as latin1 text. */
  text(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === 0 || length > LENGTH_MAX) {
      return latin1(bytes, start, end);
    }
    const place = placeOf(bytes, start, end);
    const known = this.#texts[place]!;
    if (equalsText(bytes, start, end, known)) {
      return known;
    }
    const text = latin1(bytes, start, end);
    this.#texts[place] = text;
    return text;
  }
}

/** By the length and three bytes: paths of one program differ at their ends. */
function placeOf(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const middle = bytes[start + (length >> 1)]!;
  const nearEnd = bytes[end - ((length + 3) >> 2)]!;
  return (length * 37 + bytes[end - 1]! * 11 + nearEnd * 5 + middle) & (PLACES - 1);
}
