/** Frames that are all of one length. */

import { bytesCodec, type Codec } from './codec.js';
import { Found, type FrameBounds, type Framing, type Seal, wholeNumber } from './framing.js';

class FixedFraming implements Framing {
  readonly gatherBytesMax: number;
  readonly failFast = true;

  constructor(frameBytes: number) {
    this.gatherBytesMax = wholeNumber('frameBytes', frameBytes, 0, 1, 2 ** 31);
  }

  find(_bytes: Buffer, from: number, to: number, _scanned: number, bounds: FrameBounds): number {
    if (to - from < this.gatherBytesMax) {
      bounds.needed = this.gatherBytesMax;
      bounds.scanned = 0;
      return Found.more;
    }
    bounds.start = from;
    bounds.end = from + this.gatherBytesMax;
    bounds.next = bounds.end;
    return Found.frame;
  }

  seal(payload: Uint8Array, _seal: Seal): void {
    if (payload.length !== this.gatherBytesMax) {
      throw new RangeError(
        `Cannot send a frame of ${payload.length} bytes: expected ${this.gatherBytesMax}`,
      );
    }
  }
}

/** Frames of `frameBytes` bytes each. Throws RangeError for a wrong number. */
export function fixedLength(frameBytes: number): Codec<Buffer, Uint8Array | string> {
  return bytesCodec(new FixedFraming(frameBytes));
}
