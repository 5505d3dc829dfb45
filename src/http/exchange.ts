/**
 * One request and its response at a time: the handler is called, and what its answer means for the connection is
 * decided. The input side is in conversation.ts, the end in closing.ts.
 */

import type { Handler } from '../api.js';
import { MillraceError } from '../errors.js';
import { BODY_WAITING } from './body-state.js';
import { CLOSE, ClosingOutput, FINISH } from './closing.js';
import type { HttpConnection } from './http-connection.js';
import { HttpRequest } from './request.js';
import { BODY_LENGTH_CODE, type BodyOwner, GONE_CODE, gone } from './request-body.js';
import { RequestReader } from './request-reader.js';
import { HttpResponse } from './response.js';
import type { PreparedFields } from './response-fields.js';
import type { Service } from './service.js';
import { checkSuccessor } from './switching.js';

export abstract class Exchange extends ClosingOutput {
  readonly reader: RequestReader;
  /** Undefined when the conversation is over. */
  protected http: HttpConnection | undefined;
  /** Until it has been received and answered. */
  request: HttpRequest | undefined;
  /** Until it is complete. */
  protected response: HttpResponse | undefined;
  /** Who gets the connection when all before it was answered. */
  protected upgrade: Handler | undefined;
  protected isContinued = false;
  /** Of the request that is being answered. */
  minorVersion = 1;
  isHead = false;
  /** Of its response: whether another request may follow. */
  keepsAlive = true;
  /** The response ended before its declared length. */
  isTruncated = false;

  constructor(service: Service) {
    super(service);
    this.reader = new RequestReader(service.limits);
  }

  /** Something that was in the way is done. */
  abstract goOn(): void;
  /** The handler has asked for the body. */
  abstract startBody(owner: BodyOwner): void;

  get hasResponse(): boolean {
    return this.response !== undefined;
  }

  protected begin(bytes: Buffer, pos: number, end: number): void {
    const { reader, service } = this;
    const { head } = reader;
    service.stats.requests += 1;
    this.http!.requests += 1;
    this.minorVersion = head.minorVersion;
    this.isHead = head.isMethod('HEAD');
    this.keepsAlive = true;
    this.isContinued = false;
    this.droppedBytes = 0;
    this.pace.beginBody();
    const request = new HttpRequest(this, head, reader.framing);
    const response = new HttpResponse(this, request);
    this.request = request;
    this.response = response;
    if (request.wantsUpgrade && service.options.onUpgrade !== undefined) {
      this.flush();
      request.retain();
      const rest = bytes.subarray(pos, end);
      const handler = this.#callUpgrade(request, response, rest);
      if (handler !== undefined) {
        this.upgradeTo(handler);
        return;
      }
    }
    if (this.response === response) {
      this.#callHandler(request, response);
    }
  }

  #callUpgrade(request: HttpRequest, response: HttpResponse, rest: Buffer): Handler | undefined {
    try {
      const handler = this.service.options.onUpgrade!(request, this.connection, rest);
      if (handler === undefined || handler === null) {
        return undefined;
      }
      checkSuccessor(handler);
      return handler;
    } catch (error) {
      this.#handlerFailed(response, error);
      return undefined;
    }
  }

  #callHandler(request: HttpRequest, response: HttpResponse): void {
    const { onRequest, onConnect } = this.service.options;
    try {
      const result = (request.isConnect ? onConnect! : onRequest)(request, response);
      if (typeof result === 'object' && isThenable(result)) {
        result.then(undefined, (error) => this.#handlerFailed(response, error));
      }
    } catch (error) {
      this.#handlerFailed(response, error);
    }
    if (response.isEnded) {
      request.release();
    } else {
      request.retain();
    }
  }

  #handlerFailed(response: HttpResponse, error: unknown): void {
    const { request } = response;
    const code = error instanceof MillraceError ? error.code : '';
    // The client's doing, which the handler passed on: a body that is too long, or does not come.
    if (code !== BODY_LENGTH_CODE && code !== GONE_CODE) {
      this.#report(error, request);
    }
    if (this.response !== response) {
      return;
    }
    if (response.isStarted) {
      this.connection.abort();
      return;
    }
    // Not the handler's: that one may be half made.
    const failure = new HttpResponse(this, request);
    this.response = failure;
    this.tellGone(undefined, response);
    failure.status = code === BODY_LENGTH_CODE ? 413 : 500;
    failure.end();
  }

  #report(error: unknown, request: HttpRequest): void {
    this.service.stats.handlerErrors += 1;
    this.service.options.onError(error, request);
  }

  /**
   * The rest of a request will not come, and its response cannot go out. What the user's callbacks throw is reported.
   */
  protected tellGone(request: HttpRequest | undefined, response: HttpResponse | undefined): void {
    try {
      request?.onFailure(gone());
    } catch (error) {
      this.#report(error, request!);
    }
    try {
      response?.onConnectionClosed();
    } catch (error) {
      this.#report(error, response!.request);
    }
  }

  /** Status line, common and prepared fields of a response. `hasDate`: it has a Date of its own among other fields. */
  beginning(status: number, prepared: PreparedFields | undefined, hasDate: boolean): string {
    const { service } = this;
    const common = service.commonFields(hasDate || prepared?.hasDate === true);
    return service.headTexts.beginning(status, common, prepared);
  }

  isAnswering(response: HttpResponse): boolean {
    return this.response === response;
  }

  /** Whether, if the response begins now, another request may follow it. */
  keepsAliveAfter(): boolean {
    const request = this.request!;
    const { limits } = this.service;
    // Who asked for a tunnel may have sent into it already: that must not be taken for a request.
    if (!request.isKeepAlive || request.isConnect || this.service.isDraining || this.isPeerDone) {
      return false;
    }
    if (limits.requestsMax > 0 && this.http!.requests >= limits.requestsMax) {
      return false;
    }
    if (request.bodyState !== BODY_WAITING || !request.hasBody) {
      return true;
    }
    // Nobody wants the body. If the client waits to be told to send it, it may send it or not: there is no way to know.
    return !request.expectsContinue && (this.reader.remaining ?? 0) <= limits.drainBytesMax;
  }

  onResponseEnd(): void {
    this.response = undefined;
    const request = this.request!;
    if (this.isTruncated) {
      this.after = CLOSE;
    } else if (request.isComplete) {
      this.endExchange();
    } else if (!request.hasBody && this.isInBatch) {
      // Its end is the next thing that is read.
    } else {
      this.#abandonBody(request);
    }
    this.afterEmit();
    this.goOn();
  }

  /** The response is complete before the request is. */
  #abandonBody(request: HttpRequest): void {
    this.pace.beginDrain();
    this.tellGone(request, undefined);
    if (!this.keepsAlive) {
      this.after = FINISH;
    }
  }

  protected endExchange(): void {
    this.request = undefined;
    if (!this.keepsAlive) {
      this.after = CLOSE;
    }
  }

  upgradeTo(handler: Handler): void {
    this.response = undefined;
    this.upgrade = handler;
    if (this.request?.isComplete === true) {
      this.request = undefined;
    }
    this.goOn();
  }
}

function isThenable(
  value: unknown,
): value is { then(done: undefined, failed: (error: unknown) => void): unknown } {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}
