/**
 * Redirects (RFC 9110 15.4): what a response's status and Location make of a request. No I/O.
 *
 * What a program gives to one origin is not given to another: credentials, and an address of its own, end where the
 * origin does. A request that is made a GET loses its body and what describes it.
 */

import { HttpClientError } from './client-error.js';
import { type HttpClientRequestOptions, isStreamBody } from './client-request.js';
import type { HttpClientResponse } from './client-response.js';
import type { FieldsInput, FieldValueInput } from './response-fields.js';

export interface RedirectedRequest {
  readonly url: URL;
  readonly options: HttpClientRequestOptions;
}

/** For one origin alone. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
]);
/** That describe a body, beside those that begin with `content-`. */
const OF_BODY: ReadonlySet<string> = new Set(['digest', 'last-modified', 'repr-digest']);

/**
 * The request that a redirect asks for; undefined if the response is none.
 *
 * @throws HttpClientError `ERR_HTTP_REDIRECT` if it cannot be followed: a Location that is no http: or https: URL, or a
 * body that was a stream and would have to be sent again.
 */
export function redirected(
  from: URL,
  options: HttpClientRequestOptions,
  response: Pick<HttpClientResponse, 'status' | 'rawHeaders'>,
): RedirectedRequest | undefined {
  const { status } = response;
  const isRedirect = status >= 301 && status <= 308 && (status <= 303 || status >= 307);
  const locations = isRedirect ? locationsOf(response) : [];
  if (locations.length === 0) {
    return undefined;
  }
  if (locations.length > 1) {
    throw new HttpClientError('ERR_HTTP_REDIRECT', 'A redirect to several places');
  }
  const url = resolve(locations[0]!, from);
  const { method = 'GET' } = options;
  const becomesGet =
    (status === 303 && method !== 'GET' && method !== 'HEAD') ||
    // By convention, as in all browsers (RFC 9110 15.4.2 and 15.4.3).
    (status <= 302 && method === 'POST');
  if (!becomesGet && isStreamBody(options.body)) {
    const text = 'Cannot follow a redirect: the body was a stream, and cannot be sent again';
    throw new HttpClientError('ERR_HTTP_REDIRECT', text);
  }
  const isElsewhere = url.origin !== from.origin;
  const next: HttpClientRequestOptions = { ...options };
  if (options.fields !== undefined) {
    next.fields = fieldsFor(options.fields, isElsewhere, becomesGet);
  }
  if (isElsewhere) {
    delete next.address;
  }
  if (becomesGet) {
    next.method = 'GET';
    for (const name of ['body', 'contentLength', 'trailers', 'expectContinue'] as const) {
      delete next[name];
    }
  }
  return { url, options: next };
}

function locationsOf(response: Pick<HttpClientResponse, 'rawHeaders'>): string[] {
  const locations: string[] = [];
  for (const [name, value] of response.rawHeaders()) {
    if (name.toLowerCase() === 'location') {
      locations.push(value);
    }
  }
  return locations;
}

/** Bytes that are not ASCII are taken for UTF-8, as browsers do. */
function resolve(location: string, from: URL): URL {
  let url: URL;
  try {
    url = new URL(Buffer.from(location, 'latin1').toString('utf8'), from);
  } catch (error) {
    const text = 'Cannot follow a redirect: its Location is no URL';
    throw new HttpClientError('ERR_HTTP_REDIRECT', text, { cause: error });
  }
  const isGood = url.protocol === 'http:' || url.protocol === 'https:';
  if (!isGood || url.username !== '' || url.password !== '') {
    const text = 'Cannot follow a redirect: expected http: or https: without credentials';
    throw new HttpClientError('ERR_HTTP_REDIRECT', text);
  }
  return url;
}

function fieldsFor(fields: FieldsInput, isElsewhere: boolean, isWithoutBody: boolean): FieldsInput {
  const entries =
    Symbol.iterator in fields
      ? [...(fields as Iterable<readonly [string, string]>)]
      : Object.entries(fields as Record<string, FieldValueInput>);
  const kept = entries.filter(([given]) => {
    const name = given.toLowerCase();
    const isDropped =
      (isElsewhere && CREDENTIALS.has(name)) ||
      (isWithoutBody && (name.startsWith('content-') || OF_BODY.has(name)));
    return !isDropped;
  });
  return kept as Iterable<readonly [string, string]>;
}

/** After so many redirects: the response is not what was asked for. */
export function tooManyRedirects(count: number): HttpClientError {
  return new HttpClientError('ERR_HTTP_REDIRECT', `More than ${count} redirects`);
}
