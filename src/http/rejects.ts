/**
 * Why a request is refused before any handler sees it, each with the status that its sender gets. After any of them the
 * connection is closed: where the next request would begin is no longer certain.
 */

/** Stable codes, also the keys of the counters. */
export type RejectCode = keyof typeof REJECT_STATUS;

export const REJECT_STATUS = {
  /** The request line is not `method SP target SP version CRLF`. */
  'request-line': 400,
  method: 501,
  target: 400,
  'target-length': 414,
  version: 505,
  /** A field line without a colon, with a name that is no token, folded, or with a control character. */
  'field-line': 400,
  'head-length': 431,
  'field-length': 431,
  'field-count': 431,
  host: 400,
  'content-length': 400,
  'transfer-encoding': 400,
  'transfer-coding': 501,
  /** Both Content-Length and Transfer-Encoding. */
  framing: 400,
  'body-length': 413,
  chunk: 400,
  'chunk-extension': 400,
  trailer: 400,
  'trailer-length': 431,
  'trailer-count': 431,
  expect: 417,
  connect: 501,
  /** The sender was too slow, or ended its side in the middle of a request. */
  'head-timeout': 408,
  'body-timeout': 408,
  truncated: 400,
} as const;

export const REJECT_CODES = Object.keys(REJECT_STATUS) as readonly RejectCode[];

/** What can be wrong with a chunked body, of requests and responses alike. */
export type ChunkRejectCode = Extract<
  RejectCode,
  'chunk' | 'chunk-extension' | 'body-length' | 'trailer' | 'trailer-length' | 'trailer-count'
>;
