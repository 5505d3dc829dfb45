/** Why a response is refused. After any of them its connection is closed: nothing more of it can be trusted. */

import type { ChunkRejectCode } from './rejects.js';

/** Of bodies whose content codings are undone. */
export const DECODING_REJECT_CODES = [
  /** It is not what Content-Encoding says, is cut off, or has more codings than anybody needs. */
  'content-coding',
  /** It is too long when its codings are undone, or in relation to what was received. */
  'decoded-length',
  'decoded-ratio',
] as const;

/** Stable codes, also the keys of the counters. */
export const RESPONSE_REJECT_CODES = [
  /** The status line is not `HTTP/1.x SP 3DIGIT [SP reason] CRLF`. */
  'status-line',
  'status-length',
  /** HTTP, but neither 1.0 nor 1.1. */
  'version',
  /** Below 100. */
  'status',
  /** A field line without a colon, with a name that is no token, folded, or with a control character. */
  'field-line',
  'head-length',
  'field-length',
  'field-count',
  'content-length',
  'transfer-encoding',
  /** A coding that we do not have. */
  'transfer-coding',
  /** Both Content-Length and Transfer-Encoding, or a body for a status that has none. */
  'framing',
  /** More interim responses (1xx) than `interimMax`. */
  'interim',
  /** 101, which nobody asked for, or to another protocol. */
  'upgrade',
  'body-length',
  'chunk',
  'chunk-extension',
  'trailer',
  'trailer-length',
  'trailer-count',
  /** The server ended its side in the middle of a response. */
  'truncated',
  /** Bytes that belong to no request: after a response, or on a connection at rest. */
  'surplus',
  ...DECODING_REJECT_CODES,
] as const satisfies readonly (ChunkRejectCode | string)[];

export type ResponseRejectCode = (typeof RESPONSE_REJECT_CODES)[number];
