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
import { CLOSE, FINISH, STAY_OPEN } from './closing.js';
import { Exchange } from './exchange.js';
import type { HttpConnection } from './http-connection.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE } from './message-reader.js';
import { REJECT_STATUS, type RejectCode } from './rejects.js';
import type { BodyOwner } from './request-body.js';
import { reasonOf, statusLine } from './status.js';
import { trailersOf } from './trailers.js';

const NO_BYTES = Buffer.alloc(0);
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

export class Conversation extends Exchange {
  /** Received, and to be read when what is in the way is done. */
  #unread: Buffer | undefined;

  open(http: HttpConnection): void {
    this.http = http;
    this.connection = http.connection;
  }

  // Input.

  /** From `start` to `end` of `bytes`, borrowed from the connection; none when it was woken to go on. */
  receive(bytes: Buffer, start: number, end: number): void {
    if (this.isFinishing) {
      this.drop(end - start);
    } else if (this.#unread === undefined) {
      this.#run(bytes, start, end, false);
    } else {
      const unread = this.#unread;
      this.#unread = undefined;
      const all = start === end ? unread : Buffer.concat([unread, bytes.subarray(start, end)]);
      this.#run(all, 0, all.length, true);
    }
  }

  /** Something that was in the way is done. */
  goOn(): void {
    if (this.isInBatch || this.http === undefined || this.isFinishing) {
      return;
    }
    const bytes = this.#unread ?? NO_BYTES;
    this.#unread = undefined;
    this.#run(bytes, 0, bytes.length, true);
  }

  #run(bytes: Buffer, start: number, end: number, isOwn: boolean): void {
    const { service } = this;
    service.beginBatch();
    this.isInBatch = true;
    let pos = start;
    try {
      pos = this.#process(bytes, start, end, isOwn);
    } catch (error) {
      // Of the user's, such as a body's sink: what was not read is lost, hence the place in the stream too.
      this.connection.abort();
      throw error;
    } finally {
      this.isInBatch = false;
      this.flush();
    }
    if (this.upgrade !== undefined && this.request === undefined && !this.isOutputBlocked) {
      this.#handOver(this.upgrade, bytes.subarray(pos, end));
      return;
    }
    this.#settle();
  }

  /** Works off what can be worked off. Returns how far it came. */
  #process(bytes: Buffer, start: number, end: number, isOwn: boolean): number {
    const { reader } = this;
    let budget = this.service.limits.pipelineMax;
    let pos = start;
    for (;;) {
      // Closed by a write of its own: then it is over.
      if (this.after !== STAY_OPEN || this.http === undefined) {
        return end;
      }
      if (this.#mustWait()) {
        this.#keep(bytes, pos, end, isOwn);
        return pos;
      }
      if (this.upgrade !== undefined && this.request === undefined) {
        return pos;
      }
      if (budget === 0 && reader.isIdle && pos < end) {
        this.#keep(bytes, pos, end, isOwn);
        this.connection.wake();
        return pos;
      }
      const event = reader.next(bytes, pos, end);
      if (event === READ_MORE) {
        return pos;
      }
      pos = reader.pos;
      if (event === READ_HEAD) {
        budget -= 1;
        this.begin(bytes, pos, end);
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
    const request = this.request;
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
        return this.response !== undefined && this.droppedBytes > this.service.limits.drainBytesMax;
      default:
        return false;
    }
  }

  /** Keeps what cannot be read now, and makes the peer wait. */
  #keep(bytes: Buffer, pos: number, end: number, isOwn: boolean): void {
    if (pos < end) {
      const rest = bytes.subarray(pos, end);
      this.#unread = isOwn ? rest : Buffer.from(rest);
      this.pausePeer();
    }
  }

  /** The handler has asked for the body. */
  startBody(owner: BodyOwner): void {
    const { request } = this;
    if (request === undefined || request !== owner) {
      return;
    }
    const isFresh = this.response?.isStarted === false && this.pace.bodyBytes === 0;
    if (request.expectsContinue && !this.isContinued && isFresh && this.#unread === undefined) {
      this.isContinued = true;
      this.emitText(CONTINUE);
      this.afterEmit();
    }
    this.goOn();
  }

  #takeBody(bytes: Buffer): void {
    const { reader } = this;
    const { dataStart, dataEnd } = reader;
    const request = this.request!;
    this.pace.bodyBytes += dataEnd - dataStart;
    if (request.bodyState === BODY_FLOWING) {
      request.onBody(bytes.subarray(dataStart, dataEnd));
      return;
    }
    this.droppedBytes += dataEnd - dataStart;
    if (this.response === undefined && this.droppedBytes > this.service.limits.drainBytesMax) {
      this.service.stats.undrained += 1;
      this.after = CLOSE;
    }
  }

  #endRequest(): void {
    const request = this.request!;
    request.onEnd(trailersOf(this.reader.trailers));
    if (this.response === undefined) {
      this.endExchange();
    }
  }

  // Ends.

  /** Refuses what is being read, and reads no more. */
  reject(code: RejectCode): void {
    this.service.stats.rejects[code] += 1;
    const response = this.response;
    const { request } = this;
    this.response = undefined;
    const mayAnswer = request === undefined || response?.isStarted === false;
    this.request = undefined;
    this.after = FINISH;
    this.tellGone(request, response);
    if (mayAnswer) {
      const status = REJECT_STATUS[code];
      const body = `${reasonOf(status)} (${code})\n`;
      this.emitText(
        `${statusLine(status)}${this.service.commonFields(false)}Connection: close\r\n` +
          `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
    if (!this.isInBatch) {
      this.flush();
      this.#settle();
    }
  }

  /** After each batch: closes if that is due, or rests. */
  #settle(): void {
    if (this.http === undefined) {
      return;
    }
    if (this.after !== STAY_OPEN) {
      this.#unread = undefined;
      this.finish();
      this.service.activate(this);
    } else if (this.#isIdle) {
      if (this.service.isDraining || this.isPeerDone) {
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
      this.request === undefined &&
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
    if (this.request === undefined ? this.reader.isInHead : !this.request.isComplete) {
      this.service.beginBatch();
      this.reject('truncated');
    }
  }

  protected override onUnblocked(): void {
    this.goOn();
  }

  #handOver(handler: Handler, rest: Buffer): void {
    const http = this.http!;
    const { isPeerDone } = this;
    this.unpausePeer();
    this.service.stats.upgrades += 1;
    this.#retire();
    http.handOver(handler, rest, isPeerDone);
  }

  /** The connection is gone. */
  onClose(): void {
    const request = this.request;
    const response = this.response;
    this.#retire();
    this.tellGone(request, response);
  }

  /** Back to the service, for another connection. */
  #retire(): void {
    const http = this.http!;
    this.http = undefined;
    this.request = undefined;
    this.response = undefined;
    this.#unread = undefined;
    this.upgrade = undefined;
    this.isTruncated = false;
    this.forgetEnd();
    http.conversation = undefined;
    this.service.retire(this, http, this.isInBatch);
  }
}
