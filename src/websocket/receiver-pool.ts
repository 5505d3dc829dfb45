/**
 * Receivers are lent: between two messages a connection needs none, and one of 64 bytes for each of a million that are
 * idle would be most of what a WebSocket weighs. Those with the same limits and decompressor are the same.
 */

import type { Compression } from './compression.js';
import type { Side } from './endpoint.js';
import { Receiver } from './receiver.js';

/** As many as are in use at once, which is one, but for calls within calls. */
const SPARE_MAX = 8;

export interface Borrower {
  readonly side: Side;
  readonly compression: Compression | undefined;
  readonly isPaused: boolean;
}

export function takeReceiver({ side, compression, isPaused }: Borrower): Receiver {
  const spare = (compression ?? side).receivers;
  const receiver = spare.pop() ?? new Receiver(side.endpoint.settings.limits, compression);
  if (isPaused) {
    receiver.pause();
  }
  return receiver;
}

/** `receiver` must be spare. */
export function giveBack({ side, compression }: Borrower, receiver: Receiver): void {
  const spare = (compression ?? side).receivers;
  if (spare.length < SPARE_MAX) {
    spare.push(receiver);
  }
}
