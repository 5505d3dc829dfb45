/**
 * What peers and connections of handlers/nonce.ts tell each other, and what strangers write to connections by id: after
 * the hello only records of 16 bytes, so that one that is meant for another connection shows.
 */

export const NONCE_BYTES = 8;
/** The id of the connection it is meant for, then the peer's nonce or STRAY. */
export const RECORD_BYTES = 16;
export const STRAY: Buffer = Buffer.from('straying');

/** What a peer may want, after its nonce: one byte. */
export const WISHES = ['answer', 'close', 'abort', 'end'] as const;
export type Wish = (typeof WISHES)[number];

export const REQUEST_BYTES: number = NONCE_BYTES + 1;

export function encodeRequest(nonce: Buffer, wish: Wish): Buffer {
  return Buffer.concat([nonce, Buffer.of(WISHES.indexOf(wish))]);
}

export function encodeRecord(id: number, content: Buffer): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeDoubleBE(id);
  content.copy(record, 8);
  return record;
}
