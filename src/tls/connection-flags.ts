/** The bits of `TlsConnection.flags`. */

/** The handshake is done and the handler was told of the connection. */
export const OPENED = 1 << 0;
/** Why the transport is paused: the user said so; */
export const PAUSED = 1 << 1;
/** ciphertext of ours waits that the transport refused, and reading on could make more of it; */
export const HELD = 1 << 2;
/** too much is unread; */
export const READ_FULL = 1 << 3;
/** the handshake waits for its turn or for the server name's context. */
export const WAITING = 1 << 4;
/** The peer's close_notify came. */
export const PEER_ENDED = 1 << 5;
/** and is not reported yet. */
export const END_OWED = 1 << 6;
/** Our close_notify is on its way: nothing can be written any more. */
export const END_SENT = 1 << 7;
/** `close` was called: nothing is reported any more but the close. */
export const CLOSING = 1 << 8;
/** The connection is of no more use: it failed, was aborted, or is closed. */
export const GONE = 1 << 9;
/** A write was refused, or the transport's queue is above its mark: `onDrain` is owed. */
export const BLOCKED = 1 << 10;
/** `onDrain` is due at the next recall. */
export const DRAIN_DUE = 1 << 11;
/** The user's `wake`. */
export const WOKEN = 1 << 12;
/** The transport was asked to call back. */
export const RECALLED = 1 << 13;
export const CORKED = 1 << 14;
/** What is to follow when the held ciphertext is sent: FIN, or the transport's close. */
export const FIN_WANTED = 1 << 15;
export const CLOSE_WANTED = 1 << 16;
/** The context for a waiting handshake is there. */
export const ADMITTED = 1 << 17;
/** Somebody waits for the transport to drain, to tell us. */
export const DRAIN_WATCHED = 1 << 18;

/**
 * Half a message of the handshake protocol (a ticket, a key update) has come: OpenSSL encrypts nothing before the other
 * half, and what was written waits as plaintext.
 */
export const STALLED = 1 << 19;

/** Parts of files are to be read and encrypted: other writes, and our end, wait until they are. */
export const FILING = 1 << 20;

/** Any of these: the transport is paused. */
export const NO_READ = PAUSED | HELD | READ_FULL | WAITING;
/** Any of these: writes are not taken. */
export const NO_WRITE = END_SENT | FIN_WANTED | CLOSING | GONE;
