/**
 * Requests that were sent on a connection before the responses to those before them came (RFC 9112 9.3.2). The first
 * one is the connection's own business; these wait behind it, in order. Only requests that may be sent a second time
 * are here, since nobody knows, when the connection fails, which of them the server has carried out.
 */

import type { Connection } from '../api.js';
import type { HttpClientError } from './client-error.js';
import type { ClientExchange } from './client-exchange.js';
import { RequestSender } from './client-sender.js';

export interface Pipelined {
  readonly exchange: ClientExchange;
  readonly sender: RequestSender;
}

export interface PipelineOwner {
  /** The request is handed to the system. Its turn may have come meanwhile. */
  onPipelined(exchange: ClientExchange): void;
  onSendFailure(error: HttpClientError): void;
}

export class ClientPipeline {
  readonly #owner: PipelineOwner;
  readonly #behind: Pipelined[] = [];

  constructor(owner: PipelineOwner) {
    this.#owner = owner;
  }

  get length(): number {
    return this.#behind.length;
  }

  /** Whether all of them are handed to the system: the next one may follow. */
  get isSent(): boolean {
    return this.#behind.at(-1)?.sender.isDone ?? true;
  }

  has(exchange: ClientExchange): boolean {
    return this.#behind.some((each) => each.exchange === exchange);
  }

  /** Sends a request behind the others. */
  add(connection: Connection, exchange: ClientExchange): void {
    const owner = this.#owner;
    const sender = new RequestSender(connection, exchange.request, {
      onSent: () => owner.onPipelined(exchange),
      onSendFailure: (error) => owner.onSendFailure(error),
    });
    this.#behind.push({ exchange, sender });
    sender.start();
  }

  /** The next whose response is to come. */
  next(): Pipelined | undefined {
    return this.#behind.shift();
  }

  /** All that wait, which get nothing from this connection any more. */
  takeAll(): ClientExchange[] {
    const exchanges: ClientExchange[] = [];
    for (const { exchange, sender } of this.#behind.splice(0)) {
      sender.stop();
      if (!exchange.isOver) {
        exchanges.push(exchange);
      }
    }
    return exchanges;
  }
}
