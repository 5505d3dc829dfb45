/**
 * From a host name to the addresses to try, in the order to try them. Names are looked up as the system does it
 * (getaddrinfo in Node's thread pool: /etc/hosts, nsswitch, search domains), which also sorts them by RFC 6724; the
 * order is kept but for the interleaving of families. Called by the dialer and by whoever listens on a name.
 * The lookup itself is an argument, so that a test or the simulator can answer in its place.
 */

import { lookup as lookupByNode } from 'node:dns/promises';

import type { TcpAddress } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import { formatIpv6, parseIpv4, parseIpv6 } from '../base/ip-address.js';
import { MillraceError } from '../errors.js';

/** Addresses of a name, as text, in the order of preference. `family` is 4, 6 or 0 for both. Rejects with `code`. */
export type Lookup = (name: string, family: 0 | 4 | 6) => Promise<readonly string[]>;

/**
 * The numeric addresses of `address`, first the one to try first: `address` itself when it is numeric. At least one.
 * Rejects with the signal's reason as soon as that is aborted (the lookup runs on unheard, since getaddrinfo cannot be
 * stopped), or with MillraceError whose `code` is the resolver's, such as ENOTFOUND.
 */
export async function resolve(
  address: TcpAddress,
  signal?: AbortSignal,
  lookup: Lookup = lookUpName,
): Promise<TcpAddress[]> {
  signal?.throwIfAborted();
  if (address.version !== 0) return [address];
  const family = address.kind === 'tcp4' ? 4 : address.kind === 'tcp6' ? 6 : 0;
  const found = await untilAborted(
    lookup(address.host, family).catch((error: unknown) => {
      throw unresolved(address, error);
    }),
    signal,
  );
  const resolved: TcpAddress[] = [];
  for (const text of new Set(found)) {
    const numeric = withHost(address, text);
    if (numeric !== undefined && (family === 0 || numeric.version === family)) {
      resolved.push(numeric);
    }
  }
  if (resolved.length === 0) throw unresolved(address, undefined);
  return sortForHappyEyeballs(resolved);
}

/**
 * Alternates IPv6 and IPv4 (RFC 8305 section 4, First Address Family Count 1), so that a family that does not work
 * costs one attempt at a time. Begins with the family that stands first; each family keeps its order.
 */
export function sortForHappyEyeballs<Each extends { readonly version: number }>(
  addresses: readonly Each[],
): Each[] {
  const first = addresses.filter(({ version }) => version === addresses[0]!.version);
  const second = addresses.filter(({ version }) => version !== addresses[0]!.version);
  const sorted: Each[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    sorted.push(...first.slice(i, i + 1), ...second.slice(i, i + 1));
  }
  return sorted;
}

async function lookUpName(name: string, family: 0 | 4 | 6): Promise<string[]> {
  const found = await lookupByNode(name, { all: true, family, order: 'verbatim' });
  return found.map(({ address }) => address);
}

/** The same URL with a numeric host; undefined for text that is no address, which is left out. */
function withHost(address: TcpAddress, text: string): TcpAddress | undefined {
  if (parseIpv4(text) !== undefined) return { ...address, host: text, version: 4, scope: '' };
  const percent = text.indexOf('%');
  const bytes = parseIpv6(percent < 0 ? text : text.slice(0, percent));
  if (bytes === undefined) return undefined;
  const scope = percent < 0 ? '' : text.slice(percent + 1);
  return { ...address, host: formatIpv6(bytes), version: 6, scope };
}

function unresolved(address: TcpAddress, cause: unknown): MillraceError {
  const given = (cause as { code?: unknown } | undefined)?.code;
  const code = typeof given === 'string' ? given : 'ENOTFOUND';
  const why = code === 'ENOTFOUND' ? 'the name has no address' : 'the name could not be looked up';
  const message = `Cannot resolve ${formatAddress(address)}: ${why} (${code})`;
  return new MillraceError(code, message, cause === undefined ? {} : { cause });
}

/** The promise's outcome, or the signal's reason if that comes first. */
function untilAborted<Value>(promise: Promise<Value>, signal?: AbortSignal): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((fulfil, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(fulfil, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
