/**
 * The web standard face: `httpHandler({ onRequest: webHandler((request) => new Response('hello')) })`. Bodies stream
 * both ways with back-pressure, `request.signal` is aborted when the client goes, and what is not used is not made.
 */

import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';
import type { OnRequest } from './service.js';
import { isBodyless } from './status.js';
import { WebRequest } from './web-request.js';

/** Answers a Request with a Response, as in Deno, Bun and service workers. */
export type WebFetch = (request: Request, info: WebInfo) => Response | Promise<Response>;

/** What the standard has no place for. */
export interface WebInfo {
  readonly request: HttpRequest;
  readonly remoteAddress: string;
}

export interface WebOptions {
  /** Of `request.url`: `https` behind TLS. `http` by default. */
  scheme?: 'http' | 'https';
  /** The largest body that `text`, `json`, `arrayBuffer` and `bytes` take; above, the client gets 413. 16,777,216. */
  wholeBytesMax?: number;
}

/** Fields of a Response that are the connection's business. */
const OURS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'transfer-encoding',
]);
/**
 * A body that is there as a whole is done after its one piece, within so many microtasks (Node 20 to 26 take 1 to 3).
 */
const WHOLE_TICKS = 8;

/** Makes an `onRequest` of a `fetch` function. */
export function webHandler(fetch: WebFetch, options: WebOptions = {}): OnRequest {
  if (typeof fetch !== 'function') {
    throw new TypeError(`Expected a function that answers requests, got ${typeof fetch}`);
  }
  const { scheme = 'http', wholeBytesMax = 16_777_216 } = options;
  return (request, response) => {
    const web = new WebRequest(request, response, scheme, wholeBytesMax) as unknown as Request;
    const info: WebInfo = {
      request,
      get remoteAddress() {
        return request.connection.remoteAddress;
      },
    };
    return answer(fetch(web, info), response);
  };
}

async function answer(result: Response | Promise<Response>, response: HttpResponse): Promise<void> {
  const web = await result;
  if (!(web instanceof Response)) {
    throw new TypeError(`Expected a Response, got ${String(web)}`);
  }
  await sendWebResponse(web, response);
}

/** Sends a web Response. Resolves when all of it was handed over, or the client is gone. */
export async function sendWebResponse(web: Response, response: HttpResponse): Promise<void> {
  // Response.error() has status 0.
  response.status = web.status === 0 ? 500 : web.status;
  for (const [name, value] of web.headers) {
    if (!OURS.has(name)) {
      response.field(name, value);
    } else if (name === 'connection' && value.toLowerCase() === 'close') {
      response.field(name, 'close');
    }
  }
  const length = web.headers.get('content-length');
  if (web.body === null || isBodyless(web.status)) {
    if (length !== null && response.request.method === 'HEAD') {
      response.field('content-length', length);
    }
    response.end();
    return;
  }
  const reader = web.body.getReader();
  if (response.request.method === 'HEAD') {
    if (length !== null) {
      response.field('content-length', length);
    }
    response.end();
    await reader.cancel().catch(() => {});
    return;
  }
  response.onClose(() => void reader.cancel().catch(() => {}));
  await sendBody(reader, length, response);
}

async function sendBody(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  length: string | null,
  response: HttpResponse,
): Promise<void> {
  const first = await reader.read();
  if (first.done) {
    response.end();
    return;
  }
  let isSettled = false;
  const next = reader.read().finally(() => {
    isSettled = true;
  });
  next.catch(() => {});
  for (let i = 0; i < WHOLE_TICKS && !isSettled; i += 1) {
    await undefined;
  }
  if (isSettled && (await next).done) {
    response.end(first.value);
    return;
  }
  if (length !== null) {
    response.field('content-length', length);
  }
  let piece: Awaited<typeof next> = first;
  let following: typeof next | undefined = next;
  while (!piece.done) {
    if (!(await response.writeAll(piece.value))) {
      return;
    }
    piece = await (following ?? reader.read());
    following = undefined;
  }
  response.end();
}
