/**
 * A response as a handler writes it. `end` with the whole body is one piece of text with the head; `write` sends the
 * head and streams, with a declared length or in chunks. What may not go out throws before anything is queued; what
 * becomes of the bytes is a value, as with Connection.write.
 */

import type { Handler, WriteResult } from '../api.js';
import { type BodyInput, checkBody, type FileInput } from './body-input.js';
import type { Exchange } from './exchange.js';
import { lengthAndEnd } from './head-texts.js';
import { GATHER_BYTES, LARGE_BYTES, utf8Length } from './output.js';
import type { HttpRequest } from './request.js';
import {
  checkField,
  type FieldsInput,
  type FieldValueInput,
  PreparedFields,
  ResponseFields,
} from './response-fields.js';
import { sendFilePart, sendPiece } from './send-pieces.js';
import { checkStatus, isBodyless } from './status.js';
import { interimHead, tunnelHead, upgradeHead } from './switching.js';

const FRESH = 0;
const STREAMING = 1;
const ENDED = 2;

/** How the body of a streamed response is delimited. */
const BY_LENGTH = 0;
const BY_CHUNKS = 1;
const BY_CLOSE = 2;
const NO_BODY = 3;

const CRLF = Buffer.from('\r\n');

export class HttpResponse {
  readonly #http: Exchange;
  readonly request: HttpRequest;
  #status = 200;
  #fields: ResponseFields | undefined;
  #prepared: PreparedFields | undefined;
  #state = FRESH;
  #framing = BY_CHUNKS;
  /** Bytes of a declared length that have not been written. */
  #left = 0;
  #trailers = '';
  #onClose: (() => void)[] | undefined;
  #isCut = false;

  /** Made by the server. */
  constructor(http: Exchange, request: HttpRequest) {
    this.#http = http;
    this.request = request;
  }

  get status(): number {
    return this.#status;
  }

  set status(status: number) {
    this.#status = checkStatus(status);
  }

  /** Whether the head has been sent, or the whole response. */
  get isStarted(): boolean {
    return this.#state !== FRESH;
  }

  get isEnded(): boolean {
    return this.#state === ENDED;
  }

  /** Adds a field. Throws TypeError for a name or value that may not go out, RangeError for too much of them. */
  field(name: string, value: FieldValueInput): this {
    this.#checkFresh();
    this.#ownFields.add(name, value);
    return this;
  }

  /** Adds several; those of `prepareFields` are not checked again. */
  fields(fields: PreparedFields | FieldsInput): this {
    this.#checkFresh();
    if (fields instanceof PreparedFields) {
      if (this.#prepared === undefined) {
        this.#prepared = fields;
      } else {
        this.#ownFields.text += fields.text;
        this.#ownFields.hasDate ||= fields.hasDate;
        this.#ownFields.closes ||= fields.closes;
      }
    } else {
      this.#ownFields.addAll(fields);
    }
    return this;
  }

  get #ownFields(): ResponseFields {
    this.#fields ??= new ResponseFields();
    return this.#fields;
  }

  #checkFresh(): void {
    // Of a client that is gone nobody needs to know: `end` says so.
    if (this.#state !== FRESH && !this.#isCut) {
      throw new Error('Cannot change the head of a response: it has been sent');
    }
  }

  /** Sends an interim response, such as 103 with `link` (RFC 8297); not to clients of HTTP/1.0. */
  inform(status: number, fields: FieldsInput = {}): void {
    this.#checkFresh();
    const head = interimHead(status, fields);
    if (this.#http.isAnswering(this) && this.#http.minorVersion === 1) {
      this.#http.emitText(head);
      this.#http.afterEmit();
    }
  }

  /**
   * Sends the response, or what is left of it. Bytes beyond 16 KiB are not copied: they must not be changed until
   * they have been sent. `closed`: the client is gone, or the response had ended.
   */
  end(body?: BodyInput): 'queued' | 'closed' {
    const http = this.#http;
    checkBody(body ?? '');
    const state = this.#state;
    if (state === ENDED || !http.isAnswering(this)) {
      this.#state = ENDED;
      return 'closed';
    }
    state === FRESH ? this.#sendWhole(body ?? '') : this.#sendRest(body);
    this.#state = ENDED;
    http.onResponseEnd();
    return 'queued';
  }

  #sendWhole(body: BodyInput): void {
    const http = this.#http;
    const isText = typeof body === 'string';
    const length = isText ? utf8Length(body) : body.length;
    const declared = this.#fields === undefined ? -1 : this.#fields.contentLength;
    const mayHaveBody = !isBodyless(this.#status);
    const isSent = mayHaveBody && !http.isHead;
    if (!mayHaveBody && length > 0) {
      throw new TypeError(`A response of status ${this.#status} has no body`);
    }
    if (isSent && declared >= 0 && declared !== length) {
      throw new RangeError(`The body has ${length} bytes, and content-length says ${declared}`);
    }
    let text = this.#head(http.keepsAliveAfter());
    if (declared >= 0 ? mayHaveBody || this.#status === 304 : isSent || length > 0) {
      text += lengthAndEnd(declared >= 0 ? declared : length);
    } else {
      text += '\r\n';
    }
    if (!isSent || length === 0) {
      http.emitText(text);
    } else if (!isText || length > LARGE_BYTES) {
      http.emitText(text);
      http.emitBody(isText ? Buffer.from(body) : body);
    } else if (length === body.length) {
      http.emitText(text + body);
    } else {
      http.emitText(text);
      http.emitUtf8(body, length);
    }
  }

  /** Status line and fields, without the end of the head. */
  #head(keepsAlive: boolean): string {
    const http = this.#http;
    const fields = this.#fields;
    const prepared = this.#prepared;
    const closes = fields?.closes === true || prepared?.closes === true;
    const isKept = keepsAlive && !closes;
    http.keepsAlive = isKept;
    let text = http.beginning(this.#status, prepared, fields?.hasDate === true);
    if (fields !== undefined) {
      text += fields.text;
    }
    if (!isKept) {
      text += 'Connection: close\r\n';
    } else if (http.minorVersion === 0) {
      text += 'Connection: keep-alive\r\n';
    }
    return text;
  }

  /**
   * Sends a piece of the body, copied, after the head if that was not sent. `full`: nothing of it was taken; try again
   * when `drained` resolves. With a declared content-length, more than that throws RangeError.
   */
  write(piece: BodyInput): WriteResult {
    checkBody(piece);
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    const answer = this.#beginPiece(bytes.length);
    if (answer !== undefined) {
      return answer;
    }
    const result =
      this.#framing === BY_CHUNKS
        ? this.#http.writePieces([
            Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'),
            bytes,
            CRLF,
          ])
        : this.#http.writePieces([bytes]);
    if (result === 'sent' || result === 'queued') {
      this.#left -= bytes.length;
    }
    return result;
  }

  /** Sends the head if it was not sent. What is to be answered when no byte of the piece is to be written. */
  #beginPiece(byteLength: number): 'sent' | 'closed' | undefined {
    if (this.#state === ENDED || !this.#http.isAnswering(this)) {
      return 'closed';
    }
    if (isBodyless(this.#status) && byteLength > 0) {
      throw new TypeError(`A response of status ${this.#status} has no body`);
    }
    const declared = this.#fields?.contentLength ?? -1;
    const left = this.#state === FRESH ? declared : this.#left;
    if (declared >= 0 && byteLength > left) {
      throw new RangeError(`${byteLength} bytes are more than content-length leaves: ${left}`);
    }
    if (this.#state === FRESH) {
      this.#sendHead();
    }
    if (this.#framing === NO_BODY || byteLength === 0) {
      this.#http.afterEmit();
      return 'sent';
    }
    return undefined;
  }

  /**
   * A part of a file as a piece of a body with a declared content-length; see Connection.sendFile. Resolves when the
   * file is not needed any more: true if the system has all of it, false if the client is gone.
   */
  async sendFile(file: FileInput, offset: number, byteLength: number): Promise<boolean> {
    if ((this.#fields?.contentLength ?? -1) < 0) {
      throw new TypeError('Cannot send a file: expected a content-length');
    }
    const answer = this.#beginPiece(byteLength);
    this.#left -= byteLength;
    return answer === undefined
      ? sendFilePart(this.#http, this, { file, offset, byteLength })
      : answer === 'sent';
  }

  /** Sends the head alone, such as before the first piece is there. */
  start(): void {
    if (this.#state === FRESH && this.#http.isAnswering(this)) {
      this.#sendHead();
      this.#http.afterEmit();
    }
  }

  #sendHead(): void {
    const http = this.#http;
    const declared = this.#fields?.contentLength ?? -1;
    const isChunked = declared < 0 && http.minorVersion === 1;
    const hasBody = !isBodyless(this.#status);
    const isByClose = hasBody && declared < 0 && !isChunked;
    let text = this.#head(http.keepsAliveAfter() && (!isByClose || http.isHead));
    if (hasBody && declared >= 0) {
      text += `Content-Length: ${declared}\r\n`;
    } else if (hasBody && isChunked) {
      text += 'Transfer-Encoding: chunked\r\n';
    }
    this.#left = declared;
    this.#framing =
      http.isHead || !hasBody
        ? NO_BODY
        : declared >= 0
          ? BY_LENGTH
          : isChunked
            ? BY_CHUNKS
            : BY_CLOSE;
    this.#state = STREAMING;
    http.emitText(`${text}\r\n`);
  }

  #sendRest(body: BodyInput | undefined): void {
    const http = this.#http;
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const length = bytes?.length ?? 0;
    if (this.#framing === BY_LENGTH) {
      if (length > this.#left) {
        throw new RangeError(`${length} bytes are more than content-length leaves: ${this.#left}`);
      }
      if (length < this.#left) {
        // The client must not take what comes next for the rest.
        http.keepsAlive = false;
        http.isTruncated = true;
      }
    }
    if (bytes !== undefined && length > 0 && this.#framing !== NO_BODY) {
      const isChunk = this.#framing === BY_CHUNKS;
      if (isChunk) {
        http.emitText(`${length.toString(16)}\r\n`);
      }
      http.emitBody(bytes);
      if (isChunk) {
        http.emitText('\r\n');
      }
    }
    if (this.#framing === BY_CHUNKS) {
      http.emitText(`0\r\n${this.#trailers}\r\n`);
    }
  }

  /** Adds a field that follows the body; only in chunks, hence neither with a length nor for HTTP/1.0. */
  trailer(name: string, value: string): this {
    checkField(name, value);
    if (this.#state === ENDED) {
      throw new Error('Cannot add a trailer: the response has ended');
    }
    this.#trailers += `${name}: ${value}\r\n`;
    if (this.#trailers.length > GATHER_BYTES / 4) {
      throw new RangeError('The trailers of a response are more than 16 KiB');
    }
    return this;
  }

  /** Resolves when more can be written: true, or false if the client is gone. */
  drained(): Promise<boolean> {
    return this.#http.isAnswering(this) ? this.#http.drained() : Promise.resolve(false);
  }

  /**
   * Writes a piece, waiting for room before it if there is none, and for the queue to drain after it: for loops that
   * produce a body. False if the client is gone.
   */
  writeAll(piece: BodyInput): Promise<boolean> {
    return sendPiece(this, piece);
  }

  /** Whether the connection closed before the response had ended. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Calls back, once, if the connection closes before the response has ended. */
  onClose(callback: () => void): void {
    this.#onClose ??= [];
    this.#onClose.push(callback);
  }

  /**
   * Ends HTTP on this connection, with status 101 and the given fields, and gives it to another handler, push or pull:
   * its onOpen is called, then it gets what the client has sent already. Only if `request.wantsUpgrade`.
   */
  upgrade(handler: Handler, fields: FieldsInput): 'queued' | 'closed' {
    this.#checkFresh();
    return this.#leave(handler, upgradeHead(this.request, handler, fields));
  }

  /** The same with status 200 for CONNECT: the connection is a tunnel that `handler` is the end of. */
  tunnel(handler: Handler, fields: FieldsInput = {}): 'queued' | 'closed' {
    this.#checkFresh();
    return this.#leave(handler, tunnelHead(this.request, handler, fields));
  }

  #leave(handler: Handler, head: string): 'queued' | 'closed' {
    if (!this.#http.isAnswering(this)) {
      return 'closed';
    }
    this.#state = ENDED;
    this.#http.emitText(head);
    this.#http.upgradeTo(handler);
    return 'queued';
  }

  /** Resets the connection: the client learns that the response is not complete. */
  abort(): void {
    if (this.#state !== ENDED && this.#http.isAnswering(this)) {
      this.#http.connection.abort();
    }
  }

  // For the server.

  onConnectionClosed(): void {
    if (this.#state !== ENDED) {
      this.#state = ENDED;
      this.#isCut = true;
      for (const callback of this.#onClose ?? []) {
        callback();
      }
    }
  }
}
