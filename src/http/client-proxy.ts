/**
 * The way to an https: origin through an HTTP proxy: a tunnel by CONNECT, in which `dialTls` makes its handshake as on
 * any connection. The proxy sees who is talked to, and ciphertext.
 */

import type { Connection, DialOptions, Handler, Reactor } from '../api.js';
import { HttpClientError } from './client-error.js';
import type { ProxyRoute } from './client-request.js';
import type { HttpClientResponse } from './client-response.js';
import type { FieldsInput } from './response-fields.js';

/** Connects with TLS. `reactor`, if it is there, is what it has to dial with. */
export type TlsDialer = (
  url: string,
  options: DialOptions & { serverName: string; reactor?: Pick<Reactor, 'dial'> },
) => Promise<Connection>;

/** Asks a proxy for a tunnel to `host:port`. */
export type Connect = (target: string, signal?: AbortSignal) => Promise<HttpClientResponse>;

/** Throws TypeError for what is no proxy. */
export function readProxy(
  proxy: string | URL | undefined,
  fields: FieldsInput = {},
): ProxyRoute | undefined {
  if (proxy === undefined) {
    return undefined;
  }
  const url = new URL(proxy);
  const isPlain = url.pathname === '/' && url.search === '' && url.hash === '';
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || !isPlain) {
    throw new TypeError(`Expected a proxy such as http://127.0.0.1:3128, got ${url.href}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('Expected a proxy without credentials: see proxyFields');
  }
  return { url, fields };
}

/** TLS with the server at `address`, in a tunnel. */
export async function dialThrough(
  connect: Connect,
  dialTls: TlsDialer,
  address: string,
  options: DialOptions & { serverName: string },
): Promise<Connection> {
  let isTunnelled = false;
  const dial = async (url: string, inner: DialOptions = {}): Promise<Connection> => {
    isTunnelled = true;
    const response = await connect(url.slice('tcp://'.length), inner.signal);
    const connection = response.isTunnel ? response.takeOver(inner.handler) : undefined;
    if (connection === undefined) {
      response.discard();
      throw new HttpClientError('ERR_HTTP_CONNECT', `The proxy answers ${response.status}`);
    }
    return connection;
  };
  const inner = options.handler!;
  // No request is sent past the proxy.
  const handler: Handler = {
    ...inner,
    onOpen: (connection) => (isTunnelled ? inner.onOpen?.(connection) : connection.abort()),
    onClose: (connection, reason) =>
      isTunnelled ? inner.onClose?.(connection, reason) : undefined,
  };
  const connection = await dialTls(address, { ...options, handler, reactor: { dial } });
  if (!isTunnelled) {
    throw new TypeError('Expected dialTls to dial with the reactor that it is given');
  }
  return connection;
}
