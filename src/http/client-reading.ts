/**
 * How what a client's connection received becomes events of responses: as far as the program wants it. What it does not
 * want yet waits at the server, but for the rest of the piece in hand.
 */

import type { Connection } from '../api.js';
import { BODY_PAUSED, BODY_WAITING } from './body-state.js';
import type { ClientExchange } from './client-exchange.js';
import type { ClientLimits } from './client-limits.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE } from './message-reader.js';
import type { BodyOrigin, BodyOwner } from './request-body.js';
import { READ_INTERIM, ResponseReader } from './response-reader.js';

const NO_BYTES = Buffer.alloc(0);

export abstract class ClientReading implements BodyOrigin {
  protected readonly reader: ResponseReader;
  /** Undefined until it is open. */
  connection: Connection | undefined;
  /** Whose response is to come, or comes. */
  protected exchange: ClientExchange | undefined;
  /** Received, and to be read when the program wants more. */
  protected unread: Buffer | undefined;
  #isInBatch = false;
  /** Something came after the request under way was the next to be answered. */
  protected hasAnswered = false;
  /** It is closed, or being closed. */
  protected isOver = false;

  constructor(limits: ClientLimits) {
    this.reader = new ResponseReader(limits);
  }

  protected abstract onInterim(): void;
  protected abstract onHead(): void;
  protected abstract onBody(bytes: Buffer): void;
  /** The response is complete; `hasMore`: something followed it. */
  protected abstract onEnd(hasMore: boolean): void;
  protected abstract refuse(): void;
  /** A response is under way, and the program holds it back, or does not. */
  protected abstract onPaced(isHeld: boolean): void;
  abstract fail(error: unknown): void;

  /** From `start` to `end` of `bytes`, borrowed from the connection; none when it was woken. */
  receive(bytes: Buffer, start: number, end: number): void {
    if (this.isOver) {
      return;
    }
    this.hasAnswered ||= start < end;
    if (this.unread === undefined) {
      this.#run(bytes, start, end, false);
    } else {
      const unread = this.unread;
      this.unread = undefined;
      const all = start === end ? unread : Buffer.concat([unread, bytes.subarray(start, end)]);
      this.#run(all, 0, all.length, true);
    }
  }

  /** The program has asked for the body. */
  startBody(response: BodyOwner): void {
    if (this.exchange?.response === response) {
      this.goOn();
    }
  }

  goOn(): void {
    if (this.#isInBatch || this.exchange === undefined) {
      return;
    }
    const bytes = this.unread ?? NO_BYTES;
    this.unread = undefined;
    this.#run(bytes, 0, bytes.length, true);
  }

  #run(bytes: Buffer, start: number, end: number, isOwn: boolean): void {
    this.#isInBatch = true;
    try {
      this.#process(bytes, start, end, isOwn);
    } catch (error) {
      // Of the program's, such as a body's sink: what was not read is lost.
      this.fail(error);
      throw error;
    } finally {
      this.#isInBatch = false;
    }
    this.#settle();
  }

  #process(bytes: Buffer, start: number, end: number, isOwn: boolean): void {
    const reader = this.reader;
    let pos = start;
    while (!this.isOver) {
      if (this.#mustWait()) {
        if (pos < end) {
          const rest = bytes.subarray(pos, end);
          this.unread = isOwn ? rest : Buffer.from(rest);
        }
        return;
      }
      const event = reader.next(bytes, pos, end);
      pos = reader.pos;
      if (event === READ_MORE) {
        return;
      }
      if (event === READ_INTERIM) {
        this.onInterim();
      } else if (event === READ_HEAD) {
        this.onHead();
      } else if (event === READ_DATA) {
        this.onBody(bytes.subarray(reader.dataStart, reader.dataEnd));
      } else if (event === READ_END) {
        this.onEnd(pos < end);
      } else {
        this.refuse();
      }
    }
  }

  /** Whether the program holds the body back. */
  #mustWait(): boolean {
    const response = this.exchange?.response;
    if (response?.isTunnel === true) {
      return true;
    }
    if (response === undefined || this.reader.remaining === 0) {
      return false;
    }
    return response.bodyState === BODY_WAITING || response.bodyState === BODY_PAUSED;
  }

  /** After each batch: makes the server wait, or not. */
  #settle(): void {
    const connection = this.connection!;
    const response = this.exchange?.response;
    if (this.isOver) {
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
      this.onPaced(isHeld);
    }
  }
}
