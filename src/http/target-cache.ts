/**
 * Request targets that come again and again: bytes that were seen before get the object that was made of them, with
 * what was found out about it. Finding it costs less than making another string (a call into the runtime and an
 * object). Bounded: a target replaces the one that is in its place.
 */

import { equalsText, latin1 } from './grammar.js';

const PLACES = 256;
/** Longer ones are seldom the same twice. */
const LENGTH_MAX = 64;

export class Target {
  readonly text: string;
  /** Its path, once somebody has asked for it. */
  path: string | undefined = undefined;
  /** What it leads to in the router's tree that was asked last, if that is the same for every request. */
  tree: unknown = undefined;
  route: unknown = undefined;

  constructor(text: string) {
    this.text = text;
  }
}

export class TargetCache {
  readonly #targets: Target[] = new Array(PLACES).fill(new Target(''));

  /** The bytes from `start` to `end`, as latin1 text. */
  find(bytes: Buffer, start: number, end: number): Target {
    const length = end - start;
    if (length === 0 || length > LENGTH_MAX) {
      return new Target(latin1(bytes, start, end));
    }
    const place = placeOf(bytes, start, end);
    const known = this.#targets[place]!;
    if (equalsText(bytes, start, end, known.text)) {
      return known;
    }
    const target = new Target(latin1(bytes, start, end));
    this.#targets[place] = target;
    return target;
  }
}

/** By the length and three bytes: paths of one program differ at their ends. */
function placeOf(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  const middle = bytes[start + (length >> 1)]!;
  const nearEnd = bytes[end - ((length + 3) >> 2)]!;
  return (length * 37 + bytes[end - 1]! * 11 + nearEnd * 5 + middle) & (PLACES - 1);
}
