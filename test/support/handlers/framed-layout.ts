/** Frames and answers of handlers/framed.ts: big-endian, 32 bits each. */

/** The length of what follows. */
export const HEADER_BYTES = 4;
/** How much of a frame's SHA-256 is in its answer. */
export const ACK_HASH_BYTES = 16;
/** Number, length, start of the hash. */
export const ACK_BYTES: number = 8 + ACK_HASH_BYTES;
