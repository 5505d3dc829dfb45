/**
 * What is under way on one connection: what was received goes through the reader to the handler, one request after the
 * other, and the responses go out in that order. Made for a batch of requests, and given back when the connection is
 * idle again, so that an idle connection holds none.
 *
 * A request is handled when the response before it is complete. What the client sends meanwhile (pipelining) is kept as
 * it came, at most what one receive brings, and then the connection is paused: the client waits in the kernel's window.
 * So nothing is ever answered out of order, and no response waits in memory for an earlier one.
 *
 *     head ──> handler ──(body)──> request complete ──> response complete ──> next head, or idle
 *       any ──(reject)──> finishing: our FIN; what still comes is dropped, within limits
 */

import type { Handler } from '../api.js';
import { BODY_DISCARDED, BODY_FLOWING, BODY_PAUSED, BODY_WAITING } from './body-state.js';
import type { HttpConnection } from './http-connection.js';
import { CLOSE, ClosingOutput, FINISH, STAY_OPEN } from './closing.js';
import { REJECT_STATUS, type RejectCode } from './rejects.js';
import { HttpRequest } from './request.js';
import { gone } from './request-body.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE, RequestReader } from './request-reader.js';
import { HttpResponse } from './response.js';
import type { Service } from './service.js';
import { reasonOf, statusLine } from './status.js';
import { trailersOf } from './trailers.js';

const NO_BYTES = Buffer.alloc(0);
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

export class Conversation extends ClosingOutput {
  readonly reader: RequestReader;
  #http: HttpConnection | undefined;
  #request: HttpRequest | undefined;
  #response: HttpResponse | undefined;
  #unread: Buffer | undefined;
  #isContinued = false;
  #upgrade: Handler | undefined;
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

  open(http: HttpConnection): void {
    this.#http = http;
    this.connection = http.connection;
  }

  // Input.

  /** Bytes from the connection, borrowed; none when it was woken to go on. */
  receive(bytes: Buffer): void {
    if (this.isFinishing) {
      this.drop(bytes.byteLength);
    } else if (this.#unread === undefined) {
      this.#run(bytes, false);
    } else {
      const unread = this.#unread;
      this.#unread = undefined;
      this.#run(bytes.byteLength === 0 ? unread : Buffer.concat([unread, bytes]), true);
    }
  }

  /** Something that was in the way is done. */
  goOn(): void {
    if (this.isInBatch || this.#http === undefined || this.isFinishing) {
      return;
    }
    const bytes = this.#unread ?? NO_BYTES;
    this.#unread = undefined;
    this.#run(bytes, true);
  }

  #run(bytes: Buffer, isOwn: boolean): void {
    const { service } = this;
    service.beginBatch();
    this.isInBatch = true;
    let pos = 0;
    try {
      pos = this.#process(bytes, isOwn);
    } finally {
      this.isInBatch = false;
      this.flush();
    }
    if (this.#upgrade !== undefined && this.#request === undefined) {
      this.#handOver(this.#upgrade, bytes.subarray(pos));
      return;
    }
    this.#settle();
  }

  /** Works off what can be worked off. Returns how far it came. */
  #process(bytes: Buffer, isOwn: boolean): number {
    const { reader } = this;
    let budget = this.service.limits.pipelineMax;
    let pos = 0;
    for (;;) {
      if (this.after !== STAY_OPEN) {
        return bytes.byteLength;
      }
      if (this.#upgrade !== undefined && this.#request === undefined) {
        return pos;
      }
      if (this.#mustWait()) {
        this.#keep(bytes, pos, isOwn);
        return pos;
      }
      if (budget === 0 && reader.isIdle && pos < bytes.byteLength) {
        this.#keep(bytes, pos, isOwn);
        this.connection.wake();
        return pos;
      }
      const event = reader.next(bytes, pos);
      if (event === READ_MORE) {
        return pos;
      }
      pos = reader.pos;
      if (event === READ_HEAD) {
        budget -= 1;
        this.#begin(bytes, pos);
      } else if (event === READ_DATA) {
        this.#takeBody(bytes);
      } else if (event === READ_END) {
        this.#endRequest();
      } else {
        this.reject(reader.reject);
      }
    }
  }

  /** Whether nothing can be read now. */
  #mustWait(): boolean {
    if (this.isOutputBlocked) {
      return true;
    }
    const request = this.#request;
    if (request === undefined) {
      return false;
    }
    if (!this.reader.isInBody) {
      return true;
    }
    if (!request.hasBody) {
      return false;
    }
    switch (request.bodyState) {
      case BODY_WAITING:
      case BODY_PAUSED:
        return true;
      case BODY_DISCARDED:
        // The handler has not answered yet: enough was dropped to let it.
        return (
          this.#response !== undefined && this.droppedBytes > this.service.limits.drainBytesMax
        );
      default:
        return false;
    }
  }

  /** Keeps what cannot be read now, and makes the peer wait. */
  #keep(bytes: Buffer, pos: number, isOwn: boolean): void {
    if (pos < bytes.byteLength) {
      const rest = bytes.subarray(pos);
      this.#unread = isOwn ? rest : Buffer.from(rest);
      this.pausePeer();
    }
  }

  // Requests.

  #begin(bytes: Buffer, pos: number): void {
    const { reader, service } = this;
    const { head } = reader;
    service.stats.requests += 1;
    this.#http!.requests += 1;
    this.minorVersion = head.minorVersion;
    this.isHead = head.isMethod('HEAD');
    this.keepsAlive = true;
    this.#isContinued = false;
    this.droppedBytes = 0;
    this.pace.beginBody();
    const request = new HttpRequest(this, head, reader.framing);
    const response = new HttpResponse(this, request);
    this.#request = request;
    this.#response = response;
    if (request.wantsUpgrade && service.options.onUpgrade !== undefined) {
      this.flush();
      request.retain();
      const rest = bytes.subarray(pos);
      const handler = this.#callUpgrade(request, response, rest);
      if (handler !== undefined) {
        this.upgradeTo(handler);
        return;
      }
    }
    if (this.#response === response) {
      this.#callHandler(request, response);
    }
  }

  #callUpgrade(request: HttpRequest, response: HttpResponse, rest: Buffer): Handler | undefined {
    try {
      const handler = this.service.options.onUpgrade!(request, this.connection, rest);
      if (typeof handler?.onReadable === 'function') {
        throw new TypeError('Cannot upgrade to a pull handler: expected onData');
      }
      return handler ?? undefined;
    } catch (error) {
      this.#handlerFailed(response, error);
      return undefined;
    }
  }

  #callHandler(request: HttpRequest, response: HttpResponse): void {
    try {
      const result = this.service.options.onRequest(request, response);
      if (isThenable(result)) {
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
    this.service.stats.handlerErrors += 1;
    this.service.options.onError(error, request);
    if (this.#response !== response) {
      return;
    }
    if (response.isStarted) {
      this.connection.abort();
      return;
    }
    // Not the handler's: that one may be half made.
    const failure = new HttpResponse(this, request);
    this.#response = failure;
    response.onConnectionClosed();
    failure.status = 500;
    failure.end();
  }

  commonFields(hasDate: boolean): string {
    return this.service.commonFields(hasDate);
  }

  isAnswering(response: HttpResponse): boolean {
    return this.#response === response;
  }

  /** Whether, if the response begins now, another request may follow it. */
  keepsAliveAfter(): boolean {
    const request = this.#request!;
    const { limits } = this.service;
    if (!request.isKeepAlive || this.service.isDraining || this.isPeerDone) {
      return false;
    }
    if (limits.requestsMax > 0 && this.#http!.requests >= limits.requestsMax) {
      return false;
    }
    if (request.bodyState !== BODY_WAITING || !request.hasBody) {
      return true;
    }
    // Nobody wants the body. If the client waits to be told to send it, it may send it or not: there is no way to know.
    return !request.expectsContinue && (this.reader.remaining ?? 0) <= limits.drainBytesMax;
  }

  /** The handler has asked for the body. */
  startBody(request: HttpRequest): void {
    if (this.#request !== request) {
      return;
    }
    const isFresh = this.#response?.isStarted === false && this.pace.bodyBytes === 0;
    if (request.expectsContinue && !this.#isContinued && isFresh && this.#unread === undefined) {
      this.#isContinued = true;
      this.emitText(CONTINUE);
      this.afterEmit();
    }
    this.goOn();
  }

  #takeBody(bytes: Buffer): void {
    const { reader } = this;
    const { dataStart, dataEnd } = reader;
    const request = this.#request!;
    this.pace.bodyBytes += dataEnd - dataStart;
    if (request.bodyState === BODY_FLOWING) {
      request.onBody(bytes.subarray(dataStart, dataEnd));
      return;
    }
    this.droppedBytes += dataEnd - dataStart;
    if (this.#response === undefined && this.droppedBytes > this.service.limits.drainBytesMax) {
      this.service.stats.undrained += 1;
      this.after = CLOSE;
    }
  }

  #endRequest(): void {
    const request = this.#request!;
    request.onEnd(trailersOf(this.reader.trailers));
    if (this.#response === undefined) {
      this.#endExchange();
    }
  }

  onResponseEnd(): void {
    this.#response = undefined;
    const request = this.#request!;
    if (this.isTruncated) {
      this.after = CLOSE;
    } else if (request.isComplete) {
      this.#endExchange();
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
    request.onFailure(gone());
    if (!this.keepsAlive) {
      this.after = FINISH;
    }
  }

  #endExchange(): void {
    this.#request = undefined;
    if (!this.keepsAlive) {
      this.after = CLOSE;
    }
  }

  // Ends.

  /** Refuses what is being read, and reads no more. */
  reject(code: RejectCode): void {
    this.service.stats.rejects[code] += 1;
    const response = this.#response;
    this.#request?.onFailure(gone());
    this.#response = undefined;
    const mayAnswer = this.#request === undefined || response?.isStarted === false;
    this.#request = undefined;
    response?.onConnectionClosed();
    if (mayAnswer) {
      const status = REJECT_STATUS[code];
      const body = `${reasonOf(status)} (${code})\n`;
      this.emitText(
        `${statusLine(status)}${this.service.commonFields(false)}Connection: close\r\n` +
          `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
    this.after = FINISH;
    if (!this.isInBatch) {
      this.flush();
      this.#settle();
    }
  }

  /** After each batch: closes if that is due, or rests. */
  #settle(): void {
    if (this.#http === undefined) {
      return;
    }
    if (this.after !== STAY_OPEN) {
      this.#unread = undefined;
      this.finish();
      this.service.activate(this);
    } else if (this.#isIdle) {
      if (this.service.isDraining) {
        this.connection.close();
      }
      this.unpausePeer();
      this.#retire();
    } else {
      if (this.#unread === undefined) {
        this.unpausePeer();
      }
      if (this.reader.isInHead) {
        this.pace.beginHead(this.service.now);
      }
      this.service.activate(this);
    }
  }

  get #isIdle(): boolean {
    return (
      this.#request === undefined &&
      this.reader.isIdle &&
      this.#unread === undefined &&
      !this.isOutputBlocked
    );
  }

  /** The peer will send no more. */
  onPeerEnd(): void {
    this.isPeerDone = true;
    if (this.isFinishing) {
      return;
    }
    if (this.#request === undefined ? this.reader.isInHead : !this.#request.isComplete) {
      this.service.beginBatch();
      this.reject('truncated');
    }
  }

  protected override onUnblocked(): void {
    this.goOn();
  }

  upgradeTo(handler: Handler): void {
    this.#response = undefined;
    this.#upgrade = handler;
    if (this.#request?.isComplete === true) {
      this.#request = undefined;
    }
    this.goOn();
  }

  #handOver(handler: Handler, rest: Buffer): void {
    const http = this.#http!;
    this.unpausePeer();
    this.service.stats.upgrades += 1;
    this.#retire();
    http.handOver(handler, rest);
  }

  /** The connection is gone. */
  onClose(): void {
    const request = this.#request;
    const response = this.#response;
    this.#response = undefined;
    this.#retire();
    request?.onFailure(gone());
    response?.onConnectionClosed();
  }

  /** Back to the service, for another connection. */
  #retire(): void {
    const http = this.#http!;
    this.#http = undefined;
    this.#request = undefined;
    this.#response = undefined;
    this.#unread = undefined;
    this.#upgrade = undefined;
    this.isTruncated = false;
    this.forgetEnd();
    http.conversation = undefined;
    this.service.retire(this, http);
  }

  // For the sweep.

  get request(): HttpRequest | undefined {
    return this.#request;
  }

  get hasResponse(): boolean {
    return this.#response !== undefined;
  }
}

function isThenable(
  value: unknown,
): value is { then(done: undefined, failed: (error: unknown) => void): unknown } {
  return typeof (value as { then?: unknown } | undefined)?.then === 'function';
}
