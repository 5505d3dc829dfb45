/** What may be wrong with frames. Told to `onFrameError` and as the reason of a close; never thrown by a decoder. */

import { MillraceError } from '../errors.js';

export type FrameErrorCode =
  /** A frame is longer than allowed. */
  | 'ERR_FRAME_TOO_LONG'
  /** No frame can begin like this. */
  | 'ERR_FRAME_CORRUPT'
  /** The peer ended its side in the midst of a frame. */
  | 'ERR_FRAME_TRUNCATED'
  /** The codec's `decode` threw; see `cause`. */
  | 'ERR_FRAME_DECODE';

export class FrameError extends MillraceError {
  declare readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'FrameError';
  }
}
