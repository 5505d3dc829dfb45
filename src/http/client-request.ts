/**
 * A request as it goes out: checked before anything of it is sent, so that nothing in it can end a line or frame the
 * message anew (CWE-93, request splitting). Host, Connection, Expect and what frames the body are the client's.
 */

import { type BodyInput, checkBody } from './body-input.js';
import type { ClientLimits, ClientTimeouts, HttpClientTimeouts } from './client-limits.js';
import { readTimeouts } from './client-limits.js';
import { ACCEPTED } from './content-coding.js';
import { isToken, TARGET } from './grammar.js';
import { checkField, type FieldsInput, type FieldValueInput } from './response-fields.js';
import { isTrailer } from './trailers.js';

/** A body that is made while it is sent. Each piece may be changed when the next one is asked for. */
export type BodyStream = AsyncIterable<BodyInput> | Iterable<BodyInput>;

export interface HttpClientRequestOptions {
  /** GET by default. Methods are case-sensitive; for CONNECT see `HttpClient.connect`. */
  method?: string;
  /** Without those that are the client's: Host, Connection, Expect, Upgrade, Trailer, Content-Length, … */
  fields?: FieldsInput;
  /** Text goes out as UTF-8. Bytes must not be changed before the response is there: they may be sent a second time. */
  body?: BodyInput | BodyStream;
  /** Bytes of a stream; without it the stream is sent chunked. */
  contentLength?: number;
  /** Fields after a chunked body, asked for when it has ended. */
  trailers?: FieldsInput | (() => FieldsInput);
  /** Send `Expect: 100-continue`, and the body when the server wants it or says nothing. false. */
  expectContinue?: boolean;
  /** Ask for content codings, and undo those of the response. What the client was made with: true. */
  decompress?: boolean;
  /**
   * Protocols to switch to, such as `websocket` or `a/1, b` (RFC 9110 7.8); without a body. A server that does answers
   * 101: see `isTunnel` and `takeOver` of the response.
   */
  upgrade?: string;
  /** How many redirects are followed; one more fails. 0: none is, and the redirect is the response. The client's. */
  redirectsMax?: number;
  /** Where to connect to, such as `unix:///run/app.sock`; by default what the URL says. */
  address?: string;
  /** Ends the request at any stage, up to the last byte of the response's body. */
  signal?: AbortSignal;
  /** Instead of those of the client. */
  timeouts?: HttpClientTimeouts;
}

export type HttpClientConnectOptions = Pick<
  HttpClientRequestOptions,
  'fields' | 'address' | 'signal' | 'timeouts'
>;

export interface OutgoingRequest {
  /** Connections of the same key may carry it. */
  readonly key: string;
  readonly isSecure: boolean;
  readonly address: string;
  /** Whom a TLS server must be: the URL's host, without brackets. */
  readonly hostname: string;
  readonly method: string;
  readonly head: Buffer;
  readonly body: Buffer | undefined;
  readonly stream: BodyStream | undefined;
  /** Bytes of the body; -1 if it is chunked. */
  readonly length: number;
  readonly trailers: FieldsInput | (() => FieldsInput) | undefined;
  readonly expectsContinue: boolean;
  /** The Upgrade field; empty if there is none. */
  readonly upgrade: string;
  /** Whether it goes through the proxy's tunnel: the way to `address`. */
  readonly proxy: URL | undefined;
  /** Whether it may be sent a second time (RFC 9110 9.2.2). */
  readonly isRepeatable: boolean;
  readonly signal: AbortSignal | undefined;
  readonly timeouts: ClientTimeouts;
}

const FIELDS_BYTES_MAX = 65_536;
const METHOD_MAX = 24;
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
]);
/** Methods whose request says that it has no body (RFC 9110 8.6). */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** An HTTP proxy, and the fields that it gets. */
export interface ProxyRoute {
  readonly url: URL;
  readonly fields: FieldsInput;
}

/** Throws TypeError or RangeError for what may not go out. */
export function prepareRequest(
  given: string | URL,
  options: HttpClientRequestOptions,
  limits: ClientLimits,
  proxy?: ProxyRoute,
): OutgoingRequest {
  const url = readUrl(given);
  const { method = 'GET', signal } = options;
  if (typeof method !== 'string' || !isToken(method) || method.length > METHOD_MAX) {
    throw new TypeError(`Expected a method such as GET, got ${JSON.stringify(method)}`);
  }
  if (method === 'CONNECT') {
    throw new TypeError('Cannot send CONNECT as a request: see HttpClient.connect');
  }
  checkSignal(signal);
  const upgrade = readUpgrade(options);
  const { body, stream, length } = readBody(options);
  if (options.trailers !== undefined && length >= 0) {
    throw new TypeError('Cannot send trailers: expected a body that is a stream of unknown length');
  }
  const isSecure = url.protocol === 'https:';
  // Through a proxy plain requests go whole, and secure ones in a tunnel; an address of its own is no proxy's matter.
  const via = options.address === undefined ? proxy : undefined;
  const isAbsolute = via !== undefined && !isSecure;
  const address = options.address ?? addressOf(isAbsolute ? via.url : url);
  const expectsContinue = options.expectContinue === true && length !== 0;
  const names = new Set<string>();
  const fields = fieldsText(options.fields ?? {}, (name) => names.add(checkOwn(name)));
  const framing =
    length < 0
      ? 'Transfer-Encoding: chunked\r\n'
      : length > 0 || WITH_BODY.has(method)
        ? `Content-Length: ${length}\r\n`
        : '';
  const head =
    `${method} ${isAbsolute ? url.origin : ''}${targetOf(url)} HTTP/1.1\r\nHost: ${url.host}\r\n` +
    `${isAbsolute ? fieldsText(via.fields, checkOwn) : ''}${fields}` +
    `${options.decompress === true && upgrade === '' ? acceptedCodings(names) : ''}${framing}` +
    `${upgrade === '' ? '' : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`}` +
    `${expectsContinue ? 'Expect: 100-continue\r\n' : ''}\r\n`;
  return {
    key: `${url.protocol}//${url.host} ${address}`,
    isSecure: isSecure || (isAbsolute && via.url.protocol === 'https:'),
    address,
    hostname: hostnameOf(isAbsolute ? via.url : url),
    proxy: isSecure ? via?.url : undefined,
    method,
    head: Buffer.from(head, 'latin1'),
    body,
    stream,
    length,
    trailers: options.trailers,
    expectsContinue,
    upgrade,
    isRepeatable: IDEMPOTENT.has(method) && stream === undefined,
    signal,
    timeouts: readTimeouts(limits, options.timeouts),
  };
}

/** A request to a proxy for a tunnel to `target`, `host:port` (RFC 9110 9.3.6). Throws as `prepareRequest`. */
export function prepareConnect(
  given: string | URL,
  target: string,
  options: HttpClientConnectOptions,
  limits: ClientLimits,
): OutgoingRequest {
  const url = readUrl(given);
  checkSignal(options.signal);
  const authority = readAuthority(target);
  const address = options.address ?? addressOf(url);
  const fields = fieldsText(options.fields ?? {}, checkOwn);
  const head = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`;
  return {
    key: `${url.protocol}//${url.host} ${address}`,
    isSecure: url.protocol === 'https:',
    address,
    hostname: hostnameOf(url),
    proxy: undefined,
    method: 'CONNECT',
    head: Buffer.from(head, 'latin1'),
    body: undefined,
    stream: undefined,
    length: 0,
    trailers: undefined,
    expectsContinue: false,
    upgrade: '',
    isRepeatable: false,
    signal: options.signal,
    timeouts: readTimeouts(limits, options.timeouts),
  };
}

function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('Expected signal to be an AbortSignal');
  }
}

/** `host:port`, as the URL Standard writes it. */
function readAuthority(target: string): string {
  const port = /^[^/?#@\\\s]+:(\d{1,5})$/.exec(String(target))?.[1];
  const url = port === undefined ? undefined : urlOf(`http://${target}/`);
  if (url === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new TypeError(`Expected a target such as example.org:443, got ${JSON.stringify(target)}`);
  }
  return `${url.hostname}:${Number(port)}`;
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** The Upgrade field. Throws TypeError for what is no list of protocols. */
function readUpgrade({ upgrade, body }: HttpClientRequestOptions): string {
  if (upgrade === undefined) {
    return '';
  }
  const isList =
    typeof upgrade === 'string' &&
    upgrade.split(',').every((protocol) => {
      const parts = protocol.trim().split('/');
      return parts.length <= 2 && parts.every((part) => isToken(part));
    });
  if (!isList) {
    throw new TypeError(`Expected upgrade to be protocols, got ${JSON.stringify(upgrade)}`);
  }
  if (body !== undefined) {
    throw new TypeError('Cannot send a body with a request for an upgrade');
  }
  return upgrade;
}

function addressOf(url: URL): string {
  const port = url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80';
  return `tcp://${url.hostname}:${port}`;
}

function hostnameOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

export function readUrl(given: string | URL): URL {
  const url = new URL(given);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError(`Expected a URL that begins with http:// or https://, got ${url.protocol}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('Expected a URL without credentials: see fields, Authorization');
  }
  return url;
}

/** Path and query (RFC 9112 3.2.1). What the URL Standard leaves as it is and our servers refuse is escaped. */
function targetOf(url: URL): string {
  let target = '';
  for (const character of url.pathname + url.search) {
    const code = character.charCodeAt(0);
    target += TARGET[code] === 1 ? character : encodeByte(code);
  }
  return target;
}

function encodeByte(code: number): string {
  return `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

function readBody({ body, contentLength }: HttpClientRequestOptions) {
  if (contentLength !== undefined && (!Number.isSafeInteger(contentLength) || contentLength < 0)) {
    throw new RangeError(`Expected contentLength to be a byte count, got ${contentLength}`);
  }
  if (body === undefined) {
    if (contentLength !== undefined && contentLength !== 0) {
      throw new TypeError('Expected a body, since there is a contentLength');
    }
    return { body: undefined, stream: undefined, length: 0 };
  }
  if (isStreamBody(body)) {
    return { body: undefined, stream: body as BodyStream, length: contentLength ?? -1 };
  }
  checkBody(body);
  const bytes =
    typeof body === 'string'
      ? Buffer.from(body)
      : Buffer.from(
          (body as Uint8Array).buffer,
          (body as Uint8Array).byteOffset,
          (body as Uint8Array).length,
        );
  if (contentLength !== undefined && contentLength !== bytes.length) {
    throw new RangeError(`contentLength is ${contentLength}, but the body ${bytes.length}`);
  }
  return { body: bytes, stream: undefined, length: bytes.length };
}

/** Whether a body is made while it is sent, and so can be sent only once. */
export function isStreamBody(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    !(body instanceof Uint8Array) &&
    (Symbol.asyncIterator in body || Symbol.iterator in body)
  );
}

function checkOwn(name: string): string {
  if (OWN_FIELDS.has(name)) {
    throw new TypeError(`Cannot set ${name}: the client does`);
  }
  return name;
}

/** A part of something coded cannot be decoded: whoever wants parts gets them as they are. */
function acceptedCodings(names: ReadonlySet<string>): string {
  if (names.has('accept-encoding')) {
    return '';
  }
  return `Accept-Encoding: ${names.has('range') ? 'identity' : ACCEPTED}\r\n`;
}

function checkTrailer(name: string): void {
  if (!isTrailer(name)) {
    throw new TypeError(`Cannot send ${name} in a trailer section`);
  }
}

/** The trailer section with its end. Throws TypeError for fields that may not be there. */
export function trailerText(trailers: OutgoingRequest['trailers']): string {
  const fields = typeof trailers === 'function' ? trailers() : (trailers ?? {});
  return `${fieldsText(fields, checkTrailer)}\r\n`;
}

function fieldsText(fields: FieldsInput, check: (name: string) => unknown): string {
  const entries =
    Symbol.iterator in fields
      ? (fields as Iterable<readonly [string, string]>)
      : Object.entries(fields as Record<string, FieldValueInput>);
  let text = '';
  for (const [name, value] of entries) {
    for (const one of Array.isArray(value) ? value : [value]) {
      const line = typeof one === 'number' ? String(one) : (one as string);
      checkField(name, line);
      check(name.toLowerCase());
      text += `${name}: ${line}\r\n`;
    }
  }
  if (text.length > FIELDS_BYTES_MAX) {
    throw new RangeError(`The fields of a request are more than ${FIELDS_BYTES_MAX} bytes`);
  }
  return text;
}
