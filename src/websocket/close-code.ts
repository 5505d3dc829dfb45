/**
 * Close status codes of RFC 6455 section 7.4 and of the IANA registry: which may travel in a close frame, and the names
 * of those that we send ourselves.
 */

export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  /** Never on the wire: the peer's close frame had no code. */
  NO_STATUS: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  MANDATORY_EXTENSION: 1010,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
} as const;

/** The longest reason in bytes: a control frame's 125 without the code (section 5.5). */
export const CLOSE_REASON_BYTES_MAX = 123;

/**
 * Whether a close frame may carry `code`: 1000 to 1014 without 1004 to 1006, which are reserved, and 3000 to 4999, for
 * libraries and applications. Everything else is not assigned, and a peer that sends it is in error (7.4.2).
 */
export function isWireCloseCode(code: number): boolean {
  if (code >= 3000) {
    return code <= 4999;
  }
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}
