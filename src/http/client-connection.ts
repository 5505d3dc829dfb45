/**
 * One connection of a client: sends a request, and what was received goes through the reader to its response. One
 * request at a time, so that no response can be taken for another's, unless the program wants pipelining; what comes
 * when none is under way closes it.
 *
 *     AT REST ──start──> sending, reading ──(response complete, request sent, nothing after it)──> AT REST
 *                                         ──(and more were sent)──> reading
 *       any ──(reject, timeout, abort, surplus)──> aborted
 */

import type { Connection, Handler } from '../api.js';
import { BODY_DISCARDED, BODY_FLOWING } from './body-state.js';
import { HttpClientError, type HttpClientTimeout, refused, timedOut } from './client-error.js';
import type { ClientExchange } from './client-exchange.js';
import type { ClientPool } from './client-owner.js';
import { ClientPace } from './client-pace.js';
import { ClientPipeline } from './client-pipeline.js';
import { ClientReading } from './client-reading.js';
import type { OutgoingRequest } from './client-request.js';
import { HttpClientResponse } from './client-response.js';
import { RequestSender } from './client-sender.js';
import { READ_END } from './message-reader.js';
import { trailersOf } from './trailers.js';

const CONTINUE = 100;
/** How long the server's FIN is waited for. */
const EVICT_MS = 100;

export class ClientConnection extends ClientReading {
  readonly key: string;
  readonly #pool: ClientPool;
  #pace: ClientPace | undefined;
  #sender: RequestSender | undefined;
  #isPeerDone = false;
  /** The reactor is about to go. */
  #isLast = false;
  #dropped = 0;
  #restTimer = -1;
  /** Requests that it was given. */
  served = 0;
  /** The larger, the later it came to rest: the pool's. */
  restedAt = 0;
  /** Whether it has answered, and stayed open: then others may follow before their turn. */
  #isPersistent = false;
  readonly #pipeline = new ClientPipeline(this);

  constructor(key: string, pool: ClientPool) {
    super(pool.limits);
    this.key = key;
    this.#pool = pool;
  }

  open(connection: Connection): void {
    this.connection = connection;
    this.#pace = new ClientPace(connection, this);
    this.#pool.onOpen(this);
  }

  start(exchange: ClientExchange): void {
    const connection = this.connection!;
    const { request } = exchange;
    connection.clearTimer(this.#restTimer);
    this.exchange = exchange;
    this.hasAnswered = false;
    this.#dropped = 0;
    this.served += 1;
    this.#pool.stats.reused += this.served > 1 ? 1 : 0;
    this.reader.begin(request.method, request.upgrade);
    this.#pace!.begin(request.timeouts, request.expectsContinue);
    this.#sender = new RequestSender(connection, request, this);
    this.#sender.start();
  }

  /** Whether the request may be sent behind those that are under way (RFC 9112 9.3.2). */
  hasRoomFor({ isRetried, request }: ClientExchange): boolean {
    const current = this.exchange;
    return (
      current !== undefined &&
      this.#isPersistent &&
      !this.#isPeerDone &&
      !this.#isFull &&
      this.#pipeline.length + 1 < this.#pool.limits.pipeliningMax &&
      mayPipeline(current.request) &&
      mayPipeline(request) &&
      !isRetried &&
      this.#sender!.isDone &&
      this.#pipeline.isSent
    );
  }

  /** Requests under way. */
  get depth(): number {
    return (this.isBusy ? 1 : 0) + this.#pipeline.length;
  }

  /** Sends the request behind those that are under way. */
  startBehind(exchange: ClientExchange): void {
    this.served += 1;
    this.#pool.stats.reused += 1;
    this.#pool.stats.pipelined += 1;
    this.#pipeline.add(this.connection!, exchange);
  }

  /** The request of which nothing is there yet is given up: its response will be dropped. True if it is here. */
  abandon(exchange: ClientExchange, error: unknown): boolean {
    if (!this.#pipeline.has(exchange)) {
      return false;
    }
    exchange.fail(error);
    return true;
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
    return this.exchange === exchange;
  }

  get isBusy(): boolean {
    return this.exchange !== undefined;
  }

  // Sending.

  onSent(): void {
    if (this.exchange !== undefined && this.exchange.response === undefined) {
      this.#pace!.beginHead();
    }
    this.#pool.onRoom(this);
  }

  onPipelined(exchange: ClientExchange): void {
    if (this.carries(exchange)) {
      this.onSent();
    } else {
      this.#pool.onRoom(this);
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

  protected onInterim(): void {
    if (this.reader.head.status === CONTINUE && this.#sender?.isWaiting === true) {
      this.#pace!.beginSend();
      this.#sender.proceed();
    }
  }

  protected onHead(): void {
    const { head, framing } = this.reader;
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
    if (this.exchange!.isOver) {
      response.bodyState = BODY_DISCARDED;
    }
    if (response.isTunnel) {
      response.openTunnel(this);
    }
    this.exchange!.respond(response);
  }

  /** HTTP is over on this connection, which is another handler's from now on. */
  leave(handler: Handler): Connection | undefined {
    const { connection, exchange, unread } = this;
    if (this.isOver || exchange === undefined) {
      return undefined;
    }
    this.isOver = true;
    this.#release();
    exchange.end();
    this.#pool.onLeft(this);
    return connection!.handOver(handler, unread) ? connection : undefined;
  }

  protected onBody(bytes: Buffer): void {
    const response = this.exchange!.response!;
    this.#pace!.bodyBytes += bytes.length;
    if (response.bodyState === BODY_FLOWING) {
      response.onBody(bytes);
    } else if (response.bodyState === BODY_DISCARDED) {
      this.#dropped += bytes.length;
      if (this.#dropped + (this.reader.remaining ?? 0) > this.#pool.limits.drainBytesMax) {
        this.#drop();
      }
    }
  }

  /** The response is complete. */
  protected onEnd(hasMore: boolean): void {
    const exchange = this.exchange!;
    const sender = this.#sender!;
    const { stats } = this.#pool;
    const isBehind = this.#pipeline.length > 0;
    const hasSurplus = hasMore && !isBehind;
    const { keepsAlive } = this.reader.framing;
    const isReusable = keepsAlive && sender.isDone && !hasSurplus && !this.#isPeerDone;
    const trailers = trailersOf(this.reader.trailers);
    stats.responses += 1;
    stats.rejects.surplus += hasSurplus ? 1 : 0;
    this.#release();
    exchange.end();
    this.#isPersistent = isReusable;
    if (isReusable && isBehind) {
      this.#goOnBehind(hasMore);
    } else if (isReusable && !this.#isFull) {
      this.#rest();
    } else {
      // Who said that it will close answers nothing that comes after (RFC 9112 9.6).
      this.#giveBack(keepsAlive);
      if (sender.isDone && !hasSurplus) {
        this.close();
      } else {
        this.#drop();
      }
    }
    exchange.response!.onEnd(trailers);
    if (!this.isOver && !this.isBusy) {
      this.#pool.onRest(this);
    } else if (!this.isOver) {
      this.#pool.onRoom(this);
    }
  }

  get #isFull(): boolean {
    const { requestsPerConnection } = this.#pool.limits;
    return this.#isLast || (requestsPerConnection > 0 && this.served >= requestsPerConnection);
  }

  #rest(): void {
    const { limits, stats } = this.#pool;
    this.reader.rest();
    this.#restTimer = this.connection!.setTimer(limits.idleTimeoutMs, () => {
      stats.idleTimeouts += 1;
      this.close();
    });
  }

  /** The next response is that of the request behind. */
  #goOnBehind(hasMore: boolean): void {
    const { exchange, sender } = this.#pipeline.next()!;
    this.exchange = exchange;
    this.#sender = sender;
    this.hasAnswered = hasMore;
    this.#dropped = 0;
    this.reader.begin(exchange.request.method);
    this.#pace!.begin(exchange.request.timeouts, false);
    if (sender.isDone) {
      this.#pace!.beginHead();
    }
  }

  /** What waits behind gets no answer here. */
  #giveBack(isFailed: boolean): void {
    if (this.#pipeline.length > 0) {
      this.#pool.sendAgain(this.#pipeline.takeAll(), isFailed);
    }
  }

  protected onPaced(isHeld: boolean): void {
    if (isHeld) {
      this.#pace!.hold();
    } else {
      this.#pace!.flow();
      if (this.#isPeerDone) {
        this.onPeerEnd();
      }
    }
  }

  /** The server will send no more. */
  onPeerEnd(): void {
    this.#isPeerDone = true;
    if (this.isOver || this.unread !== undefined || this.reader.isInTunnel) {
      return;
    }
    if (this.exchange === undefined) {
      this.close();
    } else if (!this.hasAnswered) {
      // As good as a reset: see onClose.
      this.connection!.abort();
    } else if (this.reader.end() === READ_END) {
      this.onEnd(false);
    } else {
      this.refuse();
    }
  }

  // Ends.

  protected refuse(): void {
    const { reject } = this.reader;
    this.#pool.stats.rejects[reject] += 1;
    this.fail(refused(reject));
  }

  /** What is under way will not be completed, and the connection goes. */
  fail(error: unknown): void {
    const exchange = this.exchange;
    this.#release();
    this.#drop();
    exchange?.fail(error);
  }

  /** At rest, or at the end of the last request: our FIN. */
  close(): void {
    if (!this.isOver) {
      this.isOver = true;
      this.connection?.close();
      this.#pool.onGone(this);
    }
  }

  /** At rest, and others want its place: a server that does not end its side too is not waited for. */
  evict(): void {
    this.connection?.setTimer(EVICT_MS, (connection) => connection.abort());
    this.close();
  }

  #drop(): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    const exchange = this.exchange;
    this.#release();
    this.connection?.abort();
    this.#pool.onGone(this);
    this.#giveBack(true);
    // Of a response whose rest nobody wants.
    exchange?.end();
  }

  onClose(error: Error | undefined): void {
    const { exchange, isOver: wasOver } = this;
    this.isOver = true;
    this.#release();
    if (!wasOver) {
      this.#pool.onGone(this);
    }
    this.#pool.onClosed(this);
    const isStale = this.served > 1 && !this.hasAnswered;
    if (exchange !== undefined && !exchange.isOver && isStale && exchange.request.isRepeatable) {
      this.#pool.sendAgain([exchange, ...this.#pipeline.takeAll()], true);
      return;
    }
    this.#giveBack(true);
    if (exchange === undefined || exchange.isOver) {
      return;
    }
    const text = 'The connection was closed before the response was complete';
    exchange.fail(new HttpClientError('ERR_HTTP_CONNECTION', text, { cause: error }));
  }

  /** The exchange is no longer this connection's. */
  #release(): void {
    this.exchange = undefined;
    this.unread = undefined;
    this.#sender?.stop();
    this.#pace?.rest();
  }
}

/** Of an idempotent method, without a body that waits or may not come again, and not the last one before a tunnel. */
function mayPipeline(request: OutgoingRequest): boolean {
  return request.isRepeatable && !request.expectsContinue && request.upgrade === '';
}
