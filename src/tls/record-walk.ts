/**
 * Follows the records of a connection's ciphertext by their headers (RFC 8446 section 5.1), which are in the clear: so
 * that a batch has a bounded number of records, and that those which carried no data can be counted. A key update of 27
 * bytes costs as much to follow as kilobytes of data to decrypt; OpenSSL would take any number of them in one call.
 */

const HEADER_BYTES = 5;
const LENGTH_AT = 3;

/** Where a connection is in its stream of records. */
export interface RecordWalk {
  /**
   * Bytes to come of the present record; 0 between two; negative within a header: the complement of how many bytes of
   * it were seen (3 bits) and of the length's upper byte (8 bits).
   */
  recordRest: number;
  /** Records that ended in the last batch. */
  recordsEnded: number;
}

/** Walks from `from` to the end of the bytes, or to the end of the `recordsMax`th record; returns where that is. */
export function walkRecords(
  walk: RecordWalk,
  bytes: Uint8Array,
  from: number,
  recordsMax: number,
): number {
  const end = bytes.length;
  let at = from;
  let rest = walk.recordRest;
  let ended = 0;
  while (at < end && ended < recordsMax) {
    if (rest > 0) {
      const n = Math.min(rest, end - at);
      at += n;
      rest -= n;
      ended += rest === 0 ? 1 : 0;
    } else if (rest === 0 && end - at >= HEADER_BYTES) {
      rest = (bytes[at + LENGTH_AT]! << 8) | bytes[at + LENGTH_AT + 1]!;
      at += HEADER_BYTES;
      ended += rest === 0 ? 1 : 0;
    } else {
      const state = rest === 0 ? 0 : ~rest;
      const seen = state & 7;
      const byte = bytes[at]!;
      at += 1;
      if (seen === HEADER_BYTES - 1) {
        rest = ((state >> 3) << 8) | byte;
        ended += rest === 0 ? 1 : 0;
      } else {
        rest = ~((seen + 1) | (seen === LENGTH_AT ? byte << 3 : 0));
      }
    }
  }
  walk.recordRest = rest;
  walk.recordsEnded = ended;
  return at;
}
