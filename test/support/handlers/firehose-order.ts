/** What a peer of handlers/firehose.ts orders: a stream, and how the server is to wait when the peer is slow. */

export const PACES = [
  /** Write until a write is refused, go on in onDrain. */
  'until full',
  /** Write until the queue is above its mark, go on in onDrain. */
  'until marked',
  /** Write, await `drained()` whenever something is queued. */
  'drained',
  /** Write the next piece when the last one is with the kernel. */
  'receipt',
  /** Write whatever happens, until a write says `closed`. */
  'until closed',
  /** No stream: the server sends back what comes. */
  'echo',
] as const;

export type Pace = (typeof PACES)[number];

export const ORDER_BYTES = 9;

export function encodeOrder(pace: Pace, byteLength: number, pieceBytes: number): Buffer {
  const order = Buffer.alloc(ORDER_BYTES);
  order.writeUInt8(PACES.indexOf(pace), 0);
  order.writeUInt32BE(byteLength, 1);
  order.writeUInt32BE(pieceBytes, 5);
  return order;
}

export const SEED = 5;

/** How far a stream has come. */
export interface Level {
  readonly sent: number;
  readonly queuedBytes: number;
  /** The most that was ever queued. */
  readonly mostQueued: number;
  readonly refusals: number;
  readonly isWaiting: boolean;
}
