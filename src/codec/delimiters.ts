/**
 * Frames that end with a delimiter, or one of several, and lines. A frame ends where the first delimiter ends, so that
 * the frames do not depend on how the stream is cut; where several end there, the longest counts.
 */

import { bytesCodec, type Codec, textCodec } from './codec.js';
import { DelimiterAutomaton } from './delimiter-automaton.js';
import {
  Found,
  FRAME_BYTES_MAX,
  type FrameBounds,
  type Framing,
  type Seal,
  wholeNumber,
} from './framing.js';

const DELIMITERS_MAX = 16;
const DELIMITER_BYTES_MAX = 64;

export interface DelimiterOptions {
  /** The most bytes of a frame, its delimiter not counted. 1,048,576. */
  maxFrameBytes?: number;
  /** The delimiter stays at the end of the frames that are given to the user. false. */
  keepDelimiter?: boolean;
  /** A frame that is too long is reported as soon as that is known, rather than when its end has come. true. */
  failFast?: boolean;
}

class DelimiterFraming implements Framing {
  readonly gatherBytesMax: number;
  readonly failFast: boolean;
  readonly terminator: DelimiterAutomaton;
  readonly #delimiters: readonly Buffer[];
  readonly #longest: number;
  /** The one that the others end with, if there is such a one: it can be searched for by the machine's own means. */
  readonly #common: Buffer | undefined;
  readonly #keeps: boolean;
  readonly #max: number;

  constructor(delimiters: readonly Buffer[], options: DelimiterOptions) {
    checkDelimiters(delimiters);
    this.#max = wholeNumber(
      'maxFrameBytes',
      options.maxFrameBytes,
      FRAME_BYTES_MAX,
      0,
      2 ** 31 - 1,
    );
    this.failFast = options.failFast ?? true;
    this.#keeps = options.keepDelimiter ?? false;
    this.#delimiters = delimiters;
    this.#longest = Math.max(...delimiters.map(({ length: byteLength }) => byteLength));
    this.gatherBytesMax = this.#max + this.#longest;
    const shortest = delimiters.reduce((a, b) => (b.length < a.length ? b : a));
    const isCommon = delimiters.every(
      (each) => each.indexOf(shortest) === each.length - shortest.length,
    );
    this.#common = isCommon ? shortest : undefined;
    this.terminator = new DelimiterAutomaton(delimiters);
  }

  find(bytes: Buffer, from: number, to: number, scanned: number, bounds: FrameBounds): number {
    // A delimiter that ends beyond what was scanned begins at most so far before.
    const start = Math.max(from, from + scanned - this.#longest + 1);
    const end =
      this.#common === undefined
        ? this.terminator.search(bytes, start, to)
        : this.#searchCommon(this.#common, bytes, from, start, to);
    if (end < 0) {
      bounds.needed = 0;
      bounds.scanned = to - from;
      // The last bytes may be the beginning of a delimiter.
      return to - from < this.gatherBytesMax ? Found.more : this.#tooLong(bounds, -1);
    }
    const length = end - this.terminator.matched - from;
    if (length > this.#max) {
      return this.#tooLong(bounds, end - from);
    }
    bounds.start = from;
    bounds.end = this.#keeps ? end : from + length;
    bounds.next = end;
    return Found.frame;
  }

  /** As the automaton's `search`: the position after the first delimiter, and its length in `matched`. */
  #searchCommon(common: Buffer, bytes: Buffer, from: number, start: number, to: number): number {
    // What lies beyond `to` may be large, and is not to be searched.
    const visible = to === bytes.length ? bytes : bytes.subarray(0, to);
    const at =
      common.length === 1 ? visible.indexOf(common[0], start) : visible.indexOf(common, start);
    if (at < 0) {
      return -1;
    }
    const end = at + common.length;
    let matched = common.length;
    for (const each of this.#delimiters) {
      const begin = end - each.length;
      if (each.length > matched && begin >= from && endsWith(bytes, begin, each)) {
        matched = each.length;
      }
    }
    this.terminator.matched = matched;
    return end;
  }

  #tooLong(bounds: FrameBounds, needed: number): number {
    bounds.problem = `a frame without a delimiter in its first ${this.#max} bytes`;
    bounds.needed = needed;
    return Found.tooLong;
  }

  seal(payload: Uint8Array, seal: Seal): void {
    const first = this.#delimiters[0];
    if (payload.length > this.#max) {
      throw new RangeError(`Cannot send a frame of ${payload.length} bytes: at most ${this.#max}`);
    }
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    const end =
      this.#delimiters.length === 1
        ? bytes.indexOf(first)
        : this.terminator.search(bytes, 0, bytes.length);
    if (end >= 0) {
      throw new RangeError('Cannot send a payload with a delimiter in it: it would be two frames');
    }
    seal.tail = first;
  }
}

function endsWith(bytes: Buffer, begin: number, delimiter: Buffer): boolean {
  for (let i = 0; i < delimiter.length; i += 1) {
    if (bytes[begin + i] !== delimiter[i]) {
      return false;
    }
  }
  return true;
}

function checkDelimiters(delimiters: readonly Buffer[]): void {
  if (delimiters.length < 1 || delimiters.length > DELIMITERS_MAX) {
    throw new RangeError(`Expected 1 to ${DELIMITERS_MAX} delimiters, got ${delimiters.length}`);
  }
  for (const one of delimiters) {
    if (one.length < 1 || one.length > DELIMITER_BYTES_MAX) {
      throw new RangeError(
        `Expected delimiters of 1 to ${DELIMITER_BYTES_MAX} bytes, got one of ${one.length}`,
      );
    }
    for (const other of delimiters) {
      const at = one.indexOf(other);
      if (one !== other && at >= 0 && at + other.length < one.length) {
        throw new TypeError(
          `The delimiter ${JSON.stringify(one.toString('latin1'))} can never end a frame: ` +
            `${JSON.stringify(other.toString('latin1'))} ends within it`,
        );
      }
    }
  }
}

/**
 * Frames that end with a delimiter: text (as UTF-8) or bytes, one or a list of up to 16, of up to 64 bytes each. Sent
 * frames get the first of them; a payload with a delimiter in it cannot be sent.
 *
 * @throws TypeError for delimiters of which one could never be met, since another one ends within it.
 */
export function delimited(
  delimiter: string | Uint8Array | readonly (string | Uint8Array)[],
  options: DelimiterOptions = {},
): Codec<Buffer, Uint8Array | string> {
  return bytesCodec(new DelimiterFraming(listOf(delimiter), options));
}

function listOf(delimiter: string | Uint8Array | readonly (string | Uint8Array)[]): Buffer[] {
  const list =
    typeof delimiter === 'string' || delimiter instanceof Uint8Array ? [delimiter] : delimiter;
  if (!Array.isArray(list)) {
    throw new TypeError(`Expected a delimiter or a list of them, got ${String(delimiter)}`);
  }
  return (list as (string | Uint8Array)[]).map((each) => Buffer.from(each as string));
}

export interface LineOptions extends DelimiterOptions {
  /** What a line ends with when it is sent: LF by default. Received lines may end with either. */
  newline?: '\n' | '\r\n';
  /** `utf8` by default; bytes that are none become U+FFFD. */
  encoding?: 'utf8' | 'latin1' | 'ascii';
}

/** Lines of text that end with LF or CRLF. */
export function lines(options: LineOptions = {}): Codec<string> {
  const { newline = '\n', encoding = 'utf8' } = options;
  if (newline !== '\n' && newline !== '\r\n') {
    throw new TypeError(`Expected newline to be LF or CRLF, got ${JSON.stringify(newline)}`);
  }
  const endings = newline === '\n' ? ['\n', '\r\n'] : ['\r\n', '\n'];
  return textCodec(new DelimiterFraming(listOf(endings), options), encoding);
}
