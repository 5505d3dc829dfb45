/**
 * What a handler sees of a request. Nothing is decoded before it is asked for. While the hook runs, the head lies in
 * the memory it was received in; if the response is not complete when the hook returns, the head is copied, so that an
 * asynchronous handler can go on reading it. One whose response is complete by then is released.
 */

import type { Connection, Reactor } from '../api.js';
import { BODY_DISCARDED, BODY_DONE } from './body-state.js';
import type { Exchange } from './exchange.js';
import { MessageBody } from './message-body.js';
import type { RequestHead } from './request-head.js';
import type { Target } from './target-cache.js';

const QUESTION_MARK = 0x3f;

const RELEASED =
  'The request was released when its response was complete and the hook had returned: see request.retain';

export class HttpRequest extends MessageBody {
  readonly #http: Exchange;
  readonly connection: Connection;
  #head: RequestHead | undefined;
  #isCopied = false;
  /** Bytes that the body has; -1 if it is chunked. */
  readonly declaredLength: number;
  readonly isKeepAlive: boolean;
  readonly expectsContinue: boolean;
  /** Whether the client asks for another protocol (Connection: upgrade, and Upgrade). */
  readonly wantsUpgrade: boolean;
  /** Whether the client asks for a tunnel (CONNECT): see `onConnect`. */
  readonly isConnect: boolean;
  /** Set by a router: what the path's parameters stand for. */
  params: Readonly<Record<string, string>> = NO_PARAMS;
  /** Anything of the user's. */
  context: unknown = undefined;
  #target: Target | undefined;
  #trailers: ReadonlyMap<string, string> = NO_FIELDS;

  /** Made by the server. */
  constructor(http: Exchange, head: RequestHead, framing: RequestFraming) {
    super();
    this.#http = http;
    this.connection = http.connection;
    this.#head = head;
    this.declaredLength = framing.contentLength;
    this.isKeepAlive = framing.keepsAlive;
    this.expectsContinue = framing.expectsContinue;
    this.wantsUpgrade = framing.wantsUpgrade;
    this.isConnect = framing.isConnect;
  }

  protected get origin(): Exchange {
    return this.#http;
  }

  get #fields(): RequestHead {
    if (this.#head === undefined) {
      throw new Error(RELEASED);
    }
    return this.#head;
  }

  /** Such as `GET`; methods are case-sensitive. */
  get method(): string {
    return this.#fields.method;
  }

  /** The request target as it was sent, not decoded: `/path?query`, `*`, an absolute URI; of CONNECT `host:port`. */
  get target(): string {
    return this.resource.text;
  }

  /** Internal, for routers: the target, with what is known of it. */
  get resource(): Target {
    this.#target ??= this.#fields.target;
    return this.#target;
  }

  /** The target up to its query, not decoded; of an absolute URI the path. */
  get path(): string {
    if (this.isConnect) {
      return '/';
    }
    const { resource } = this;
    resource.path ??= pathOf(resource.text);
    return resource.path;
  }

  /** What follows the first question mark, not decoded; empty if there is none. */
  get query(): string {
    const { target } = this;
    const at = target.indexOf(String.fromCharCode(QUESTION_MARK));
    return at < 0 ? '' : target.slice(at + 1);
  }

  /** `1.1` or `1.0`. */
  get httpVersion(): '1.0' | '1.1' {
    return this.#fields.minorVersion === 1 ? '1.1' : '1.0';
  }

  /**
   * A field's value as latin1 text, several of one name joined by `, ` (RFC 9110 5.3), cookies by `; `. `name` in lower
   * case.
   */
  header(name: string): string | undefined {
    return this.#fields.value(name);
  }

  /** All fields, by name in lower case. Made anew at each call. */
  get headers(): Map<string, string> {
    return this.#fields.toMap();
  }

  /** The fields one by one, as they were sent. */
  *rawHeaders(): IterableIterator<readonly [name: string, value: string]> {
    const fields = this.#fields;
    for (let i = 0; i < fields.count; i += 1) {
      yield [fields.nameAt(i), fields.valueAt(i)];
    }
  }

  get hasBody(): boolean {
    return this.declaredLength !== 0;
  }

  /** Bytes of the body; undefined if it is chunked. */
  get contentLength(): number | undefined {
    return this.declaredLength < 0 ? undefined : this.declaredLength;
  }

  /**
   * Fields that followed a chunked body, by name in lower case; empty before its end. Those that would change what came
   * before (framing, routing, authentication, RFC 9110 6.5.1) are left out.
   */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers;
  }

  /** Keeps the head readable for as long as the request object lives. */
  retain(): this {
    if (!this.#isCopied) {
      this.#head = this.#fields.copy();
      this.#isCopied = true;
    }
    return this;
  }

  // For the server.

  /** What all requests of this reactor share under that key; closed when the reactor's server ends. */
  shared<Value extends { close(): void }>(key: object, make: (reactor: Reactor) => Value): Value {
    return this.#http.service.shared(key, make);
  }

  /** The hook has returned and the response is complete: the head's memory is used for other things from now on. */
  release(): void {
    if (!this.#isCopied) {
      this.#head = undefined;
    }
  }

  onEnd(trailers: ReadonlyMap<string, string>): void {
    this.bodyState = BODY_DONE;
    this.#trailers = trailers;
    this.body?.onEnd();
  }

  /** What is missing of the body will not come. */
  onFailure(error: Error): void {
    if (this.bodyState !== BODY_DONE) {
      this.bodyState = BODY_DISCARDED;
      this.body?.onError(error);
    }
  }
}

/** What the framing of a request says; see framing.ts. */
interface RequestFraming {
  readonly contentLength: number;
  readonly keepsAlive: boolean;
  readonly expectsContinue: boolean;
  readonly wantsUpgrade: boolean;
  readonly isConnect: boolean;
}

const NO_FIELDS: ReadonlyMap<string, string> = new Map();
const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze(Object.create(null));

/** Of a target that is no authority. */
function pathOf(target: string): string {
  const start = target.charCodeAt(0) === 0x2f ? 0 : pathStart(target);
  const end = target.indexOf('?', start);
  const path = end < 0 ? target.slice(start) : target.slice(start, end);
  return path === '' ? '/' : path;
}

/** Where the path of an absolute URI starts. */
function pathStart(target: string): number {
  const authority = target.indexOf('://');
  if (authority < 0) {
    return 0;
  }
  for (let i = authority + 3; i < target.length; i += 1) {
    const code = target.charCodeAt(i);
    if (code === 0x2f || code === QUESTION_MARK) {
      return i;
    }
  }
  return target.length;
}
