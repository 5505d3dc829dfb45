/**
 * The request of an opening handshake as a server reads it that has no HTTP server beside it (RFC 6455 section 4.2.1).
 */

import { type HttpHead, hasToken } from './http-head.js';
import { pathOf, type Refusal, refuse, type UpgradeValues } from './upgrade.js';

/** What a hook is shown of a request. */
export interface UpgradeRequest {
  /** As sent, such as `/chat?room=1`. */
  readonly target: string;
  /** The target up to the query. */
  readonly path: string;
  readonly host: string;
  /** Undefined for clients that are no browsers. */
  readonly origin: string | undefined;
  /** What the client speaks, in its order of preference. */
  readonly protocols: readonly string[];
  /** A field's value, by its name in any case; several of one name are joined with commas. */
  header(name: string): string | undefined;
}

/** The values for `checkUpgrade`; or why this is no opening handshake. */
export function readRequest(head: HttpHead): (UpgradeValues & { target: string }) | Refusal {
  const [method, target, version, ...rest] = head.startLine.split(' ');
  if (rest.length > 0 || version === undefined || !isTarget(target)) {
    return refuse(400, 'The request line is malformed');
  }
  if (!/^HTTP\/\d\.\d$/.test(version)) {
    return refuse(400, 'The request line is malformed');
  }
  if (version !== 'HTTP/1.1') {
    return refuse(505, 'HTTP/1.1 is spoken here');
  }
  if (method !== 'GET') {
    return refuse(405, 'The method of an opening handshake is GET', { Allow: 'GET' });
  }
  const { fields } = head;
  if (single(head, 'host') === undefined) {
    return refuse(400, 'There must be one Host');
  }
  const length = fields.get('content-length');
  if (fields.has('transfer-encoding') || (length !== undefined && length.join() !== '0')) {
    return refuse(400, 'An opening handshake has no body');
  }
  if (!hasToken(fields.get('upgrade'), 'websocket')) {
    return refuse(426, 'Only WebSockets are served here', { Upgrade: 'websocket' });
  }
  if (!hasToken(fields.get('connection'), 'upgrade') || fields.get('upgrade')!.length > 1) {
    return refuse(400, 'There must be one Upgrade, and Connection must name it');
  }
  for (const name of ['sec-websocket-key', 'sec-websocket-version', 'origin']) {
    if ((fields.get(name)?.length ?? 0) > 1) {
      return refuse(400, `There must be one ${name}`);
    }
  }
  return {
    target,
    key: single(head, 'sec-websocket-key'),
    version: single(head, 'sec-websocket-version'),
    protocol: joined(head, 'sec-websocket-protocol'),
    extensions: joined(head, 'sec-websocket-extensions'),
    origin: single(head, 'origin'),
  };
}

export function describeRequest(
  head: HttpHead,
  target: string,
  protocols: readonly string[],
): UpgradeRequest {
  return {
    target,
    path: pathOf(target),
    host: single(head, 'host') ?? '',
    origin: single(head, 'origin'),
    protocols,
    header: (name) => joined(head, name.toLowerCase()),
  };
}

/** Origin-form, of visible ASCII characters and no fragment (section 3 has none). */
function isTarget(target: string | undefined): target is string {
  return target !== undefined && /^\/[!"$-~]*$/.test(target);
}

export function single({ fields }: HttpHead, name: string): string | undefined {
  const values = fields.get(name);
  return values?.length === 1 ? values[0] : undefined;
}

export function joined({ fields }: HttpHead, name: string): string | undefined {
  return fields.get(name)?.join(', ');
}
