/** What a client has done, as counters. */

import type { HttpClientTimeout } from './client-error.js';
import { RESPONSE_REJECT_CODES, type ResponseRejectCode } from './response-rejects.js';

/** Since the client was made, but for `connections`, `idle` and `queued`: these are now. */
export interface HttpClientStats {
  /** Open, and being opened. */
  connections: number;
  /** Of these, at rest. */
  idle: number;
  /** Requests that wait for a connection. */
  queued: number;
  requests: number;
  /** Responses that were received to their end. */
  responses: number;
  /** Connections that were opened. */
  connects: number;
  connectErrors: number;
  /** Requests on a connection that had served others. */
  reused: number;
  /** Of these, sent before the response to the one before them had come. */
  pipelined: number;
  /** Requests sent again, since a reused connection was closed before any byte of the response. */
  retries: number;
  /** Connections that left HTTP, after 101 or CONNECT. */
  tunnels: number;
  /** Redirects that were followed. */
  redirects: number;
  /** Connections closed since they were at rest for too long. */
  idleTimeouts: number;
  queueFull: number;
  /** Requests that were aborted by their signal. */
  aborted: number;
  readonly timeouts: Record<HttpClientTimeout, number>;
  /** By what was wrong with the response. */
  readonly rejects: Record<ResponseRejectCode, number>;
}

export function emptyClientStats(): HttpClientStats {
  return {
    connections: 0,
    idle: 0,
    queued: 0,
    requests: 0,
    responses: 0,
    connects: 0,
    connectErrors: 0,
    reused: 0,
    pipelined: 0,
    retries: 0,
    tunnels: 0,
    redirects: 0,
    idleTimeouts: 0,
    queueFull: 0,
    aborted: 0,
    timeouts: { queue: 0, send: 0, head: 0, body: 0, rate: 0, unread: 0 },
    rejects: Object.fromEntries(RESPONSE_REJECT_CODES.map((code) => [code, 0])) as Record<
      ResponseRejectCode,
      number
    >,
  };
}
