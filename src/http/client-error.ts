/** How a client's request may fail, as codes of a fixed set. */

import { MillraceError } from '../errors.js';
import type { ResponseRejectCode } from './response-rejects.js';

export type HttpClientErrorCode =
  /** No connection: `cause` says why. */
  | 'ERR_HTTP_CONNECT'
  /** `queueMax` requests wait already. */
  | 'ERR_HTTP_QUEUE_FULL'
  /** A time passed: `timeout` says which. */
  | 'ERR_HTTP_TIMEOUT'
  /** The response breaks the rules or a limit: `reject` says how. */
  | 'ERR_HTTP_RESPONSE'
  /** The connection was closed or reset before the response was complete; `cause`, if the system gave one. */
  | 'ERR_HTTP_CONNECTION'
  /** A redirect that cannot be followed, or one too many. */
  | 'ERR_HTTP_REDIRECT'
  /** The request's body failed (`cause`), or has another length than was said. */
  | 'ERR_HTTP_REQUEST_BODY'
  /** The client was closed. */
  | 'ERR_HTTP_CLIENT_CLOSED';

/** `rate`: the body came slower than `rateMin`; `unread`: the program did not read the body. */
export type HttpClientTimeout = 'queue' | 'send' | 'head' | 'body' | 'rate' | 'unread';

export class HttpClientError extends MillraceError {
  declare readonly code: HttpClientErrorCode;
  readonly timeout: HttpClientTimeout | undefined;
  readonly reject: ResponseRejectCode | undefined;

  constructor(
    code: HttpClientErrorCode,
    message: string,
    details: {
      cause?: unknown;
      timeout?: HttpClientTimeout;
      reject?: ResponseRejectCode;
    } = {},
  ) {
    super(code, message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HttpClientError';
    this.timeout = details.timeout;
    this.reject = details.reject;
  }
}

export function timedOut(timeout: HttpClientTimeout): HttpClientError {
  return new HttpClientError('ERR_HTTP_TIMEOUT', `The request took too long (${timeout})`, {
    timeout,
  });
}

export function refused(reject: ResponseRejectCode, cause?: unknown): HttpClientError {
  return new HttpClientError('ERR_HTTP_RESPONSE', `The response is not acceptable (${reject})`, {
    reject,
    cause,
  });
}

export function clientClosed(): HttpClientError {
  return new HttpClientError('ERR_HTTP_CLIENT_CLOSED', 'The client is closed');
}

export function closedTwice(): HttpClientError {
  const text = 'The connection was closed before the response came, for the second time';
  return new HttpClientError('ERR_HTTP_CONNECTION', text);
}
