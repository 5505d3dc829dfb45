/**
 * What a framing does: it finds frames in a stream of bytes, and says what goes around a payload to make one. No I/O
 * and no state: what is known of a frame that has begun is kept by the frame decoder (frame-decoder.ts).
 */

/** What `Framing.find` answers. */
export const Found = {
  /** A whole frame: `start`, `end` and `next` say where. */
  frame: 1,
  /** More bytes are needed: `needed` and `scanned` say what is known so far. */
  more: 0,
  /** The frame is longer than is allowed; `needed` has its length, or -1 where nobody knows it yet. */
  tooLong: -1,
  /** No frame can begin like this: the stream is of no more use. */
  corrupt: -2,
} as const;

/** Where a frame lies; filled in by `Framing.find`, whose callers reuse it. Positions are those of the bytes. */
export class FrameBounds {
  /** Of what is given to the user. */
  start = 0;
  end = 0;
  /** Where the next frame begins. */
  next = 0;
  /**
   * After `more`: how many bytes from the frame's beginning are needed at least to know more; 0 if any may do. After
   * `tooLong`: the length of the frame; -1 if it is not known.
   */
  needed = 0;
  /** After `more`: how many bytes from the frame's beginning need not be looked at again. */
  scanned = 0;
  /** After `tooLong` and `corrupt`: why, for people. */
  problem = '';
}

/** What goes around a payload; filled in by `Framing.seal`, whose callers reuse it. */
export class Seal {
  head: Uint8Array = NO_BYTES;
  /** How many bytes of the payload's beginning are in `head` already. */
  skip = 0;
  tail: Uint8Array = NO_BYTES;
}

export const NO_BYTES: Buffer = Buffer.alloc(0);

export interface Framing {
  /** The most bytes that the decoder has to gather for one frame, with everything around it. */
  readonly gatherBytesMax: number;
  /** Whether a frame that is too long is reported at once (true), or when all of it has come and gone. */
  readonly failFast: boolean;
  /**
   * Looks for the frame that begins at `from`; what lies at `to` and beyond is not there yet. `scanned` is what an
   * earlier call for the same frame said. Answers a value of `Found`.
   */
  find(bytes: Buffer, from: number, to: number, scanned: number, bounds: FrameBounds): number;
  /** What has to be around this payload. Throws RangeError or TypeError for one that no frame can carry. */
  seal(payload: Uint8Array, seal: Seal): void;
  /** For framings that do not know the length of a frame before its end: finds that end. */
  readonly terminator?: Terminator;
}

/** Passes over a frame whose length is not known. Its state is a number. */
export interface Terminator {
  /** The state after the last bytes of what has been looked at already. */
  stateAfter(bytes: Buffer, from: number, to: number): number;
  /** Goes on: answers the position after the terminator, or -1; then `state` is that at `to`. */
  pass(bytes: Buffer, from: number, to: number, state: number): number;
  readonly state: number;
}

/** An integer option, or its default. */
export function wholeNumber(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  const number = value ?? fallback;
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    throw new RangeError(
      `Expected ${name} to be an integer from ${min} to ${max}, got ${String(value)}`,
    );
  }
  return number;
}

/** The most bytes of a frame, unless a codec is told otherwise. */
export const FRAME_BYTES_MAX = 1_048_576;
