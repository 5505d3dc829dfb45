/** What peers of handlers/batch.ts send: what is to become of another connection, or bytes to be sent back. */

export const DEEDS = ['echo', 'abort', 'close'] as const;
export type Deed = (typeof DEEDS)[number];

export const ORDER_BYTES = 9;

export function encodeOrder(deed: Deed, target: number): Buffer {
  const order = Buffer.alloc(ORDER_BYTES);
  order.writeUInt8(DEEDS.indexOf(deed), 0);
  order.writeDoubleBE(target, 1);
  return order;
}

/** Words of the memory by which a test and a reactor's thread wait for each other. */
export const Gate = {
  /** 1: the thread is held in the task `hold`. */
  held: 0,
  /** 1: the thread may leave `hold`. */
  letGo: 1,
  /** 1: the other connection was closed. */
  done: 2,
  /** 1: the hook that closed it may return. */
  mayReturn: 3,
} as const;

export const GATE_BYTES = 16;
