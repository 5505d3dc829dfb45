/**
 * One connection of a client: sends a request, and what was received goes through the reader to its response. One
 * request at a time, so that no response can be taken for another's; what comes when none is under way closes it.
 *
 *     AT REST ──start──> sending, reading ──(response complete, request sent, nothing after it)──> AT REST
 *       any ──(reject, timeout, abort, surplus)──> aborted
 */

import type { Connection } from '../api.js';
import { BODY_DISCARDED, BODY_FLOWING, BODY_PAUSED, BODY_WAITING } from './body-state.js';
import { HttpClientError, type HttpClientTimeout, refused, timedOut } from './client-error.js';
import type { ClientExchange } from './client-exchange.js';
import type { ClientLimits } from './client-limits.js';
import { ClientPace } from './client-pace.js';
import { HttpClientResponse, type ResponseOrigin } from './client-response.js';
import { RequestSender } from './client-sender.js';
import type { HttpClientStats } from './client-stats.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE } from './request-reader.js';
import { READ_INTERIM, ResponseReader } from './response-reader.js';
import { trailersOf } from './trailers.js';

const NO_BYTES = Buffer.alloc(0);
const CONTINUE = 100;

/** What it needs of the pool. */
export interface ClientPool {
  readonly limits: ClientLimits;
  readonly stats: HttpClientStats;
  onOpen(connection: ClientConnection): void;
  /** It can serve another request. */
  onRest(connection: ClientConnection): void;
  onGone(connection: ClientConnection): void;
  /** Its socket is closed. */
  onClosed(connection: ClientConnection): void;
  /** The connection was closed before it answered anything: the request may be sent on another one. */
  sendAgain(exchange: ClientExchange): void;
}

export class ClientConnection implements ResponseOrigin {
  readonly key: string;
  readonly #pool: ClientPool;
  readonly #reader: ResponseReader;
  #connection: Connection | undefined;
  #pace: ClientPace | undefined;
  #exchange: ClientExchange | undefined;
  #sender: RequestSender | undefined;
  /** Received, and to be read when the program wants more. */
  #unread: Buffer | undefined;
  #isInBatch = false;
  #hasAnswered = false;
  #isPeerDone = false;
  #isOver = false;
  #isLast = false;
  #dropped = 0;
  #restTimer = -1;
  /** Requests that it was given. */
  served = 0;

  constructor(key: string, pool: ClientPool) {
    this.key = key;
    this.#pool = pool;
    this.#reader = new ResponseReader(pool.limits);
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  open(connection: Connection): void {
    this.#connection = connection;
    this.#pace = new ClientPace(connection, this);
    this.#pool.onOpen(this);
  }

  start(exchange: ClientExchange): void {
    const connection = this.#connection!;
    const { request } = exchange;
    connection.clearTimer(this.#restTimer);
    this.#exchange = exchange;
    this.#hasAnswered = false;
    this.#dropped = 0;
    this.served += 1;
    this.#pool.stats.reused += this.served > 1 ? 1 : 0;
    this.#reader.begin(request.method);
    this.#pace!.begin(request.timeouts, request.expectsContinue);
    this.#sender = new RequestSender(connection, request, this);
    this.#sender.start();
  }

  /** The reactor's server closes: what is under way is the last. */
  goAway(): void {
    this.#isLast = true;
    if (!this.isBusy) {
      this.close();
    }
  }

  /** Whether that request is the one under way. */
  carries(exchange: ClientExchange): boolean {
    return this.#exchange === exchange;
  }

  get isBusy(): boolean {
    return this.#exchange !== undefined;
  }

  // Sending.

  onSent(): void {
    if (this.#exchange !== undefined && this.#exchange.response === undefined) {
      this.#pace!.beginHead();
    }
  }

  onSendFailure(error: HttpClientError): void {
    this.fail(error);
  }

  onContinueTimeout(): void {
    this.#pace!.beginSend();
    this.#sender?.proceed();
  }

  onTimeout(timeout: HttpClientTimeout): void {
    this.#pool.stats.timeouts[timeout] += 1;
    this.fail(timedOut(timeout));
  }

  // Receiving.

  /** Bytes from the connection, borrowed; none when it was woken. */
  receive(bytes: Buffer): void {
    if (this.#isOver) {
      return;
    }
    this.#hasAnswered ||= bytes.byteLength > 0;
    if (this.#unread === undefined) {
      this.#run(bytes, false);
    } else {
      const unread = this.#unread;
      this.#unread = undefined;
      this.#run(bytes.byteLength === 0 ? unread : Buffer.concat([unread, bytes]), true);
    }
  }

  /** The program has asked for the body. */
  startBody(response: HttpClientResponse): void {
    if (this.#exchange?.response === response) {
      this.goOn();
    }
  }

  goOn(): void {
    if (this.#isInBatch || this.#exchange === undefined) {
      return;
    }
    const bytes = this.#unread ?? NO_BYTES;
    this.#unread = undefined;
    this.#run(bytes, true);
  }

  #run(bytes: Buffer, isOwn: boolean): void {
    this.#isInBatch = true;
    try {
      this.#process(bytes, isOwn);
    } catch (error) {
      // Of the program's, such as a body's sink: what was not read is lost.
      this.fail(error);
      throw error;
    } finally {
      this.#isInBatch = false;
    }
    this.#settle();
  }

  #process(bytes: Buffer, isOwn: boolean): void {
    const reader = this.#reader;
    let pos = 0;
    while (!this.#isOver) {
      if (this.#mustWait()) {
        if (pos < bytes.byteLength) {
          const rest = bytes.subarray(pos);
          this.#unread = isOwn ? rest : Buffer.from(rest);
        }
        return;
      }
      const event = reader.next(bytes, pos);
      pos = reader.pos;
      if (event === READ_MORE) {
        return;
      }
      if (event === READ_INTERIM) {
        this.#onInterim();
      } else if (event === READ_HEAD) {
        this.#onHead();
      } else if (event === READ_DATA) {
        this.#onBody(bytes.subarray(reader.dataStart, reader.dataEnd));
      } else if (event === READ_END) {
        this.#onEnd(pos < bytes.byteLength);
      } else {
        this.#refuse();
      }
    }
  }

  /** Whether the program holds the body back. */
  #mustWait(): boolean {
    const response = this.#exchange?.response;
    if (response === undefined || this.#reader.remaining === 0) {
      return false;
    }
    return response.bodyState === BODY_WAITING || response.bodyState === BODY_PAUSED;
  }

  #onInterim(): void {
    if (this.#reader.head.status === CONTINUE && this.#sender?.isWaiting === true) {
      this.#pace!.beginSend();
      this.#sender.proceed();
    }
  }

  #onHead(): void {
    const { head, framing } = this.#reader;
    const sender = this.#sender!;
    if (sender.isWaiting) {
      // An answer to the head alone: the body is not sent, hence the connection cannot go on.
      sender.stop();
    }
    const response = new HttpClientResponse(
      this,
      head.copy(),
      framing.kind,
      framing.declaredLength,
    );
    this.#exchange!.respond(response);
  }

  #onBody(bytes: Buffer): void {
    const response = this.#exchange!.response!;
    this.#pace!.bodyBytes += bytes.byteLength;
    if (response.bodyState === BODY_FLOWING) {
      response.onBody(bytes);
    } else if (response.bodyState === BODY_DISCARDED) {
      this.#dropped += bytes.byteLength;
      if (this.#dropped + (this.#reader.remaining ?? 0) > this.#pool.limits.drainBytesMax) {
        this.#drop();
      }
    }
  }

  /** The response is complete. */
  #onEnd(hasSurplus: boolean): void {
    const exchange = this.#exchange!;
    const sender = this.#sender!;
    const { limits, stats } = this.#pool;
    const isFull = limits.requestsPerConnection > 0 && this.served >= limits.requestsPerConnection;
    const isReusable = this.#reader.framing.keepsAlive && sender.isDone && !hasSurplus;
    const trailers = trailersOf(this.#reader.trailers);
    stats.responses += 1;
    stats.rejects.surplus += hasSurplus ? 1 : 0;
    this.#release();
    exchange.end();
    if (isReusable && !isFull && !this.#isPeerDone && !this.#isLast) {
      this.#reader.rest();
      this.#restTimer = this.#connection!.setTimer(limits.idleTimeoutMs, () => {
        stats.idleTimeouts += 1;
        this.close();
      });
    } else if (sender.isDone && !hasSurplus) {
      this.close();
    } else {
      this.#drop();
    }
    exchange.response!.onEnd(trailers);
    if (!this.#isOver) {
      this.#pool.onRest(this);
    }
  }

  /** After each batch: makes the server wait, or not. */
  #settle(): void {
    const connection = this.#connection!;
    const response = this.#exchange?.response;
    if (this.#isOver) {
      return;
    }
    const isHeld = this.#mustWait();
    if (isHeld !== connection.isPaused) {
      if (isHeld) {
        connection.pause();
      } else {
        connection.resume();
      }
    }
    if (response !== undefined) {
      if (isHeld) {
        this.#pace!.hold();
      } else {
        this.#pace!.flow();
      }
      if (this.#isPeerDone && !isHeld) {
        this.onPeerEnd();
      }
    }
  }

  /** The server will send no more. */
  onPeerEnd(): void {
    this.#isPeerDone = true;
    if (this.#isOver || this.#unread !== undefined) {
      return;
    }
    if (this.#exchange === undefined) {
      this.close();
    } else if (!this.#hasAnswered) {
      // As good as a reset: see onClose.
      this.#connection!.abort();
    } else if (this.#reader.end() === READ_END) {
      this.#onEnd(false);
    } else {
      this.#refuse();
    }
  }

  // Ends.

  #refuse(): void {
    const { reject } = this.#reader;
    this.#pool.stats.rejects[reject] += 1;
    this.fail(refused(reject));
  }

  /** What is under way will not be completed, and the connection goes. */
  fail(error: unknown): void {
    const exchange = this.#exchange;
    this.#release();
    this.#drop();
    exchange?.fail(error);
  }

  /** At rest, or at the end of the last request: our FIN. */
  close(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#connection?.close();
      this.#pool.onGone(this);
    }
  }

  #drop(): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    const exchange = this.#exchange;
    this.#release();
    this.#connection?.abort();
    this.#pool.onGone(this);
    // Of a response whose rest nobody wants.
    exchange?.end();
  }

  onClose(error: Error | undefined): void {
    const exchange = this.#exchange;
    const wasOver = this.#isOver;
    this.#isOver = true;
    this.#release();
    if (!wasOver) {
      this.#pool.onGone(this);
    }
    this.#pool.onClosed(this);
    if (exchange === undefined || exchange.isOver) {
      return;
    }
    const isStale = this.served > 1 && !this.#hasAnswered;
    if (isStale && exchange.request.isRepeatable && !exchange.isRetried) {
      this.#pool.sendAgain(exchange);
      return;
    }
    const text = 'The connection was closed before the response was complete';
    exchange.fail(new HttpClientError('ERR_HTTP_CONNECTION', text, { cause: error }));
  }

  /** The exchange is no longer this connection's. */
  #release(): void {
    this.#exchange = undefined;
    this.#unread = undefined;
    this.#sender?.stop();
    this.#pace?.rest();
  }
}
