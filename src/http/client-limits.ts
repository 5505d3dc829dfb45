/**
 * What a server may cost a client: the limits of one HTTP client, with their defaults. Each can be set in `HttpClient`,
 * and the times for one request in `request`; none can be switched off but where 0 is said to mean so.
 */

import { readCounts } from './limits.js';
import type { ResponseLimits } from './response-reader.js';

/** Times of one request, in milliseconds. */
export interface HttpClientTimeouts {
  /** In the queue, until a connection is there for it. 30,000. */
  queueTimeoutMs?: number;
  /** From its first byte until all of it is handed to the system. 300,000. */
  sendTimeoutMs?: number;
  /** With `expectContinue`: how long 100 is waited for before the body is sent all the same. 1,000. */
  continueTimeoutMs?: number;
  /** From the end of the request to the end of the final response's head, interim ones included. 30,000. */
  headTimeoutMs?: number;
  /** From the head to the last byte of the body, without the time in which the program did not want it. 300,000. */
  bodyTimeoutMs?: number;
  /** How long a program may leave a body unread. 60,000. */
  unreadTimeoutMs?: number;
  /** Bytes a second that a body must bring, after `rateGraceMs`. 1,024; 0: any, such as for streams of events. */
  rateMin?: number;
  /** 10,000. */
  rateGraceMs?: number;
}

/** Bytes, counts and milliseconds. */
export interface HttpClientLimits extends HttpClientTimeouts {
  /** Status line and fields of a head together. 16,384. */
  headBytesMax?: number;
  /** The status line, and each field line. 8,192. */
  lineBytesMax?: number;
  /** Fields of a head. 100. */
  fieldsMax?: number;
  /** Interim responses (1xx) before a final one. 16. */
  interimMax?: number;
  /** A response's body after the chunked coding. 1,073,741,824. */
  bodyBytesMax?: number;
  /** A body whose content codings are undone. 1,073,741,824. */
  decodedBytesMax?: number;
  /** Its bytes for each byte that was received, from 1 MiB on. 100; 0: any. */
  decodedRatioMax?: number;
  /** Extensions of one chunk. 256. */
  chunkExtensionBytesMax?: number;
  /** Extensions of all chunks of a body. 16,384. */
  chunkExtensionsBytesMax?: number;
  /** The trailer section. 8,192. */
  trailerBytesMax?: number;
  /** Fields of the trailer section. 32. */
  trailersMax?: number;
  /** Bytes of a body that nobody wants which are read to keep its connection. 262,144; 0: none. */
  drainBytesMax?: number;
  /** Name resolution and all attempts to connect. 10,000. */
  connectTimeoutMs?: number;
  /** How long a connection is kept without a request. 4,000: less than the 5,000 of many servers. */
  idleTimeoutMs?: number;
  /** Connections to one origin. 16. */
  connectionsPerOrigin?: number;
  /** Connections in all. 256. */
  connectionsMax?: number;
  /** Requests that wait for a connection. 1,024; 0: none waits. */
  queueMax?: number;
  /**
   * Requests under way on one connection: with more than 1, those of idempotent methods whose body is no stream are
   * sent before the answers to the ones before them came, once no further connection may be opened (RFC 9112 9.3.2). 1.
   */
  pipeliningMax?: number;
  /** Redirects that a request follows, unless it says otherwise. 0: none. */
  redirectsMax?: number;
  /** Requests on one connection, after which it is closed. 0: any number. */
  requestsPerConnection?: number;
}

export type ClientLimits = Readonly<Required<HttpClientLimits>> & ResponseLimits;
export type ClientTimeouts = Readonly<Required<HttpClientTimeouts>>;

const TIMEOUT_DEFAULTS: ClientTimeouts = {
  queueTimeoutMs: 30_000,
  sendTimeoutMs: 300_000,
  continueTimeoutMs: 1_000,
  headTimeoutMs: 30_000,
  bodyTimeoutMs: 300_000,
  unreadTimeoutMs: 60_000,
  rateMin: 1_024,
  rateGraceMs: 10_000,
};

const DEFAULTS: ClientLimits = {
  ...TIMEOUT_DEFAULTS,
  headBytesMax: 16_384,
  lineBytesMax: 8_192,
  fieldsMax: 100,
  interimMax: 16,
  bodyBytesMax: 1_073_741_824,
  decodedBytesMax: 1_073_741_824,
  decodedRatioMax: 100,
  chunkExtensionBytesMax: 256,
  chunkExtensionsBytesMax: 16_384,
  trailerBytesMax: 8_192,
  trailersMax: 32,
  drainBytesMax: 262_144,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 4_000,
  connectionsPerOrigin: 16,
  connectionsMax: 256,
  queueMax: 1_024,
  pipeliningMax: 1,
  redirectsMax: 0,
  requestsPerConnection: 0,
};

/** Throws RangeError for what is no count. */
export function readClientLimits(options: HttpClientLimits): ClientLimits {
  const mayBeZero = [
    'rateMin',
    'decodedRatioMax',
    'drainBytesMax',
    'queueMax',
    'redirectsMax',
    'requestsPerConnection',
  ] as const;
  return readCounts(DEFAULTS, mayBeZero, options);
}

/** The times of one request: its own, else the client's. */
export function readTimeouts(
  limits: ClientLimits,
  options: HttpClientTimeouts | undefined,
): ClientTimeouts {
  if (options === undefined) {
    return limits;
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(TIMEOUT_DEFAULTS, name)) {
      throw new TypeError(`Expected timeouts of a request, got ${name}`);
    }
  }
  return readCounts<ClientTimeouts>(limits, ['rateMin'], options);
}
