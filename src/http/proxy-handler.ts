/**
 * A handler behind proxies: `proxyProtocol(handler, { trusted: ['10.0.0.0/8'] })`. From a trusted network the header of
 * the PROXY protocol is read before the handler sees anything, and `connection.remoteAddress` is the client's from then
 * on. From everywhere else no header is looked for: whoever could send one could be anybody.
 *
 * A trusted peer without a right header is reset: a proxy that is set up wrongly should not go unnoticed.
 */

import { BlockList } from 'node:net';

import type { Action, CloseReason, Connection, Handler } from '../api.js';
import {
  PROXY_BYTES_MAX,
  type ProxyHeader,
  type ProxyOutcome,
  readProxyHeader,
} from './proxy-header.js';

export interface ProxyOptions {
  /** Networks of the proxies, such as `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`; `unix` for all Unix sockets. */
  trusted: readonly string[];
  /** From the opening of the connection to the last byte of the header. 5,000. */
  headerTimeoutMs?: number;
  /** Peers that are not trusted are reset, rather than served as clients of their own. false. */
  refusesOthers?: boolean;
  /** Called when a trusted peer sent no right header in time, or one that is not trusted was refused. */
  onRefused?: (connection: Connection, why: 'header' | 'timeout' | 'untrusted') => void;
}

/** The context of a connection whose header is not complete. */
class PendingHeader {
  kept: Buffer = Buffer.alloc(0);
  timer = -1;
}

const headers = new WeakMap<Connection, ProxyHeader>();

/** What the proxy said about a connection; undefined if it came without one. */
export function proxyHeaderOf(connection: Connection): ProxyHeader | undefined {
  return headers.get(connection);
}

/** Wraps a handler, push or pull. Throws TypeError for networks that are none. */
export function proxyProtocol(handler: Handler, options: ProxyOptions): Handler {
  const { headerTimeoutMs = 5_000, onRefused } = options;
  if (!Number.isInteger(headerTimeoutMs) || headerTimeoutMs < 1) {
    throw new RangeError(`Expected headerTimeoutMs to be milliseconds, got ${headerTimeoutMs}`);
  }
  const isTrusted = readNetworks(options.trusted);
  const refuse = (connection: Connection, why: 'header' | 'timeout' | 'untrusted'): void => {
    onRefused?.(connection, why);
    connection.abort();
  };
  const wrapper: Handler = {
    onOpen(connection) {
      if (!isTrusted(connection.remoteAddress)) {
        return options.refusesOthers === true
          ? refuse(connection, 'untrusted')
          : handler.onOpen?.(connection);
      }
      const pending = new PendingHeader();
      connection.context = pending;
      pending.timer = connection.setTimer(headerTimeoutMs, () => {
        if (connection.context === pending) {
          refuse(connection, 'timeout');
        }
      });
    },
    onClose(connection, reason: CloseReason) {
      if (!(connection.context instanceof PendingHeader)) {
        return handler.onClose?.(connection, reason);
      }
    },
  };
  if (handler.defaults !== undefined) {
    wrapper.defaults = handler.defaults;
  }
  if (handler.onServerClose !== undefined) {
    wrapper.onServerClose = (connection) =>
      connection.context instanceof PendingHeader ? 'close' : handler.onServerClose!(connection);
  }
  for (const hook of ['onDrain', 'onEnd', 'onBeforeWrite'] as const) {
    const theirs = handler[hook];
    if (theirs !== undefined) {
      wrapper[hook] = ((connection: Connection) =>
        connection.context instanceof PendingHeader
          ? undefined
          : theirs.call(handler, connection)) as never;
    }
  }
  if (handler.onReadable !== undefined) {
    wrapper.onReadable = (connection) => pull(handler, connection, refuse);
  } else {
    wrapper.onData = (connection, bytes) => push(handler, connection, bytes, refuse);
  }
  // Hooks and tasks of the reactor keep the object they belong to.
  for (const hook of ['onBoot', 'onShutdown', 'onTick', 'onMessage'] as const) {
    if (handler[hook] !== undefined) {
      wrapper[hook] = (handler[hook] as (...values: unknown[]) => unknown).bind(handler) as never;
    }
  }
  if (handler.tasks !== undefined) {
    wrapper.tasks = handler.tasks;
  }
  return wrapper;
}

type Refuse = (connection: Connection, why: 'header') => void;

function push(
  handler: Handler,
  connection: Connection,
  bytes: Buffer,
  refuse: Refuse,
): Action | void {
  const { context } = connection;
  if (!(context instanceof PendingHeader)) {
    return handler.onData?.(connection, bytes);
  }
  const all = context.kept.length === 0 ? bytes : Buffer.concat([context.kept, bytes]);
  const outcome = readProxyHeader(all);
  if (outcome === 'more') {
    // At most PROXY_BYTES_MAX: beyond that the header is bad.
    context.kept = Buffer.from(all);
    return;
  }
  if (outcome === 'bad') {
    refuse(connection, 'header');
    return;
  }
  const action = accept(handler, connection, context, outcome);
  const rest = all.subarray(outcome.byteLength);
  return action === 'close' || rest.length === 0 || connection.state === 'closed'
    ? action
    : handler.onData?.(connection, rest);
}

function pull(handler: Handler, connection: Connection, refuse: Refuse): Action | void {
  const { context } = connection;
  if (!(context instanceof PendingHeader)) {
    return handler.onReadable?.(connection);
  }
  const { reader } = connection;
  const outcome = readProxyHeader(reader.peek(Math.min(reader.length, PROXY_BYTES_MAX))!);
  if (outcome === 'more') {
    return;
  }
  if (outcome === 'bad') {
    refuse(connection, 'header');
    return;
  }
  reader.skip(outcome.byteLength);
  const action = accept(handler, connection, context, outcome);
  return action === 'close' || reader.length === 0 || connection.state === 'closed'
    ? action
    : handler.onReadable?.(connection);
}

/** The handler gets the connection as if it came from the client. */
function accept(
  handler: Handler,
  connection: Connection,
  pending: PendingHeader,
  { header }: Exclude<ProxyOutcome, string>,
): Action | void {
  connection.clearTimer(pending.timer);
  connection.context = undefined;
  headers.set(connection, header);
  if (header.source !== undefined) {
    // Own properties in front of the class's: the object stays the one that all calls and hooks know.
    Object.defineProperties(connection, {
      remoteAddress: { value: header.source, enumerable: true },
      localAddress: { value: header.destination, enumerable: true },
    });
  }
  return handler.onOpen?.(connection);
}

/** A function that tells whether an address, as a URL, is in one of the networks. */
function readNetworks(networks: readonly string[]): (url: string) => boolean {
  if (!Array.isArray(networks) || networks.length === 0) {
    throw new TypeError('Expected trusted to be a list of networks: there is no default');
  }
  const list = new BlockList();
  let isUnixTrusted = false;
  for (const network of networks as readonly string[]) {
    if (network === 'unix') {
      isUnixTrusted = true;
      continue;
    }
    const [address = '', prefix] = network.split('/');
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    const bits = prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix);
    try {
      if (prefix === '' || !Number.isInteger(bits)) {
        throw new RangeError('no prefix');
      }
      list.addSubnet(address, bits, family);
    } catch (error) {
      throw new TypeError(`Expected a network such as 10.0.0.0/8, got ${network}`, {
        cause: error,
      });
    }
  }
  return (url) => {
    if (!url.startsWith('tcp://')) {
      return isUnixTrusted && url.startsWith('unix');
    }
    const host = url.slice('tcp://'.length, url.lastIndexOf(':'));
    if (!host.startsWith('[')) {
      return list.check(host, 'ipv4');
    }
    const address = host.slice(1, -1).replace(/%.*$/, '');
    // A dual-stack listener sees IPv4 clients so.
    return address.startsWith('::ffff:') && address.includes('.')
      ? list.check(address.slice('::ffff:'.length), 'ipv4')
      : list.check(address, 'ipv6');
  };
}
