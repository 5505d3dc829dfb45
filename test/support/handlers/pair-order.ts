/** What peers of handlers/pair.ts send first, and how far a connection has come. */

export const SINK = 0;
export const SOURCE = 1;
export const ORDER_BYTES = 9;

export function encodeOrder(role: typeof SINK | typeof SOURCE, sink = 0): Buffer {
  const order = Buffer.alloc(ORDER_BYTES);
  order.writeUInt8(role, 0);
  order.writeDoubleBE(sink, 1);
  return order;
}

export interface PairLevel {
  readonly id: number;
  readonly queuedBytes: number;
  /** The most that was ever queued. */
  readonly mostQueued: number;
  readonly bytesReceived: number;
}
