/** How a peer of handlers/closing.ts wants its connection to end. */

import type { CloseReason } from '../../../src/index.js';

export const ENDINGS = [
  /** Write, close in the same hook. */
  'close',
  /** Give away an array, return the action. */
  'action',
  /** Write pieces, close in another turn. */
  'close later',
  /** Write corked, and close without uncorking. */
  'close corked',
  /** Give away thousands of small arrays, more than one call to the kernel takes, and close. */
  'close pieces',
  /** Write, pause reading, close in another turn. */
  'close paused',
  /** Write, then `end`. */
  'end',
  /** Give away an array, abort. */
  'abort',
  /** Write, pause reading; whoever else closes it. */
  'paused',
  /** Send back what comes from now on. */
  'echo',
] as const;

export type Ending = (typeof ENDINGS)[number];

export const ORDER_BYTES = 5;

export function encodeOrder(ending: Ending, byteLength: number): Buffer {
  const order = Buffer.alloc(ORDER_BYTES);
  order.writeUInt8(ENDINGS.indexOf(ending), 0);
  order.writeUInt32BE(byteLength, 1);
  return order;
}

/** The stream that every answer is a part of. */
export const SEED = 3;

/** The cells of the shared memory in which closes are counted, since a closed server answers no task. */
export const CODES: readonly CloseReason['code'][] = [
  'ended',
  'closed',
  'aborted',
  'reset',
  'error',
  'timeout',
  'overflow',
  'handler',
  'shutdown',
];

/** How many connections closed for each reason, of those that occurred. */
export function codesIn(memory: SharedArrayBuffer): Record<string, number> {
  const cells = new Int32Array(memory);
  return Object.fromEntries(
    CODES.map((code, i) => [code, Atomics.load(cells, i)] as const).filter(([, n]) => n > 0),
  );
}
