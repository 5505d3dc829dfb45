/**
 * Server-sent events (WHATWG HTML 9.2): a response without an end that carries events, with comments now and then so
 * that proxies and clients know that it lives. Results are values: `full` means that the client does not keep up, and
 * it is for the program to drop the event or the client.
 */

import type { WriteResult } from '../api.js';
import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';
import { prepareFields } from './response-fields.js';

export interface ServerEvent {
  /** Lines are kept. */
  data: string;
  event?: string;
  /** Comes back in Last-Event-ID when the client reconnects. */
  id?: string;
  /** How long the client is to wait before it reconnects, in milliseconds. */
  retry?: number;
}

export interface EventStreamOptions {
  /** A comment is sent when no event was for so long. 15,000; 0: never. */
  keepAliveMs?: number;
}

const FIELDS = prepareFields({
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
});

export class EventStream {
  /** What the client saw last, from Last-Event-ID; empty for a new one. */
  readonly lastEventId: string;
  readonly #response: HttpResponse;
  readonly #keepAliveMs: number;
  #timer = -1;
  #hasSent = false;

  /** Begins the response. */
  constructor(request: HttpRequest, response: HttpResponse, options: EventStreamOptions = {}) {
    const { keepAliveMs = 15_000 } = options;
    if (!Number.isInteger(keepAliveMs) || keepAliveMs < 0) {
      throw new RangeError(
        `Expected keepAliveMs to be a count of milliseconds, got ${keepAliveMs}`,
      );
    }
    this.lastEventId = request.header('last-event-id') ?? '';
    this.#response = response;
    this.#keepAliveMs = keepAliveMs;
    response.fields(FIELDS).start();
    if (keepAliveMs > 0) {
      this.#arm(request);
    }
  }

  #arm(request: HttpRequest): void {
    // Of the connection: it ends with it.
    this.#timer = request.connection.setTimer(this.#keepAliveMs, () => {
      if (this.#response.isEnded) {
        return;
      }
      if (!this.#hasSent) {
        this.#response.write(':\n\n');
      }
      this.#hasSent = false;
      this.#arm(request);
    });
  }

  /** Throws TypeError for an event or id of more than one line. `full`: nothing was sent. */
  send(event: ServerEvent): WriteResult {
    const result = this.#response.write(encodeEvent(event));
    this.#hasSent ||= result === 'sent' || result === 'queued';
    return result;
  }

  /** Resolves when a client that did not keep up does; false if it is gone. */
  drained(): Promise<boolean> {
    return this.#response.drained();
  }

  /** Calls back if the client goes. */
  onClose(callback: () => void): void {
    this.#response.onClose(callback);
  }

  get isClosed(): boolean {
    return this.#response.isEnded;
  }

  close(): void {
    this.#response.request.connection.clearTimer(this.#timer);
    this.#response.end();
  }
}

/** The text of one event. Made once, it can be sent to many clients with `response.write`. */
export function encodeEvent({ data, event, id, retry }: ServerEvent): string {
  let text = '';
  if (event !== undefined) {
    text += `event: ${oneLine('event', event)}\n`;
  }
  if (id !== undefined) {
    if (id.includes('\0')) {
      throw new TypeError('An id with a null character is ignored by clients');
    }
    text += `id: ${oneLine('id', id)}\n`;
  }
  if (retry !== undefined) {
    if (!Number.isInteger(retry) || retry < 0) {
      throw new RangeError(`Expected retry to be a count of milliseconds, got ${retry}`);
    }
    text += `retry: ${retry}\n`;
  }
  for (const line of data.split(/\r\n|\r|\n/)) {
    text += `data: ${line}\n`;
  }
  return `${text}\n`;
}

function oneLine(name: string, text: string): string {
  if (text.includes('\n') || text.includes('\r')) {
    throw new TypeError(`Expected ${name} to be one line, got ${JSON.stringify(text)}`);
  }
  return text;
}
