/** How far the body of a request is, as far as its handler is concerned. */

/** Nobody has asked for it: it is not read from the socket. */
export const BODY_WAITING = 0;
export const BODY_FLOWING = 1;
export const BODY_PAUSED = 2;
/** Nobody will ask for it any more: it is read and dropped, within limits. */
export const BODY_DISCARDED = 3;
/** All of it has been received, or there is none. */
export const BODY_DONE = 4;
