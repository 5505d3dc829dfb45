/** What a peer of handlers/half-close.ts sends first: how it wants to be answered, and with how much. */

export const REPLIES = [
  /** All of it in onEnd. */
  'in onEnd',
  /** As much as the queue takes in onEnd, the rest in onDrain. */
  'in onDrain',
  /** In another turn than the end's. */
  'later',
  /** Begun and corked with the first bytes that came, uncorked after the end. */
  'corked across the end',
  /** Reading is paused with the first bytes that came, until the peer must have sent FIN. */
  'after a pause',
  /** Nothing: our side ended first. */
  'none, we ended first',
  /** Nothing, and our side stays open. */
  'never',
] as const;

export type Reply = (typeof REPLIES)[number];

export const ORDER_BYTES = 9;
/** SHA-256 and the number of bytes of what was received: the start of each answer. */
export const SUMMARY_BYTES = 40;

export function encodeOrder(reply: Reply, replyBytes: number, seed: number): Buffer {
  const order = Buffer.alloc(ORDER_BYTES);
  order.writeUInt8(REPLIES.indexOf(reply), 0);
  order.writeUInt32BE(replyBytes, 1);
  order.writeUInt32BE(seed, 5);
  return order;
}

export function decodeOrder(order: Buffer): { reply: Reply; replyBytes: number; seed: number } {
  return {
    reply: REPLIES[order.readUInt8(0)]!,
    replyBytes: order.readUInt32BE(1),
    seed: order.readUInt32BE(5),
  };
}

export function encodeSummary(sha256: Buffer, byteLength: number): Buffer {
  const summary = Buffer.alloc(SUMMARY_BYTES);
  sha256.copy(summary);
  summary.writeDoubleBE(byteLength, 32);
  return summary;
}
