/**
 * The server's half of the opening handshake (RFC 6455 section 4.2) without I/O: what a request asked for becomes an
 * answer, 101 or another status. Used by the server that reads requests itself, and with values that an HTTP server has
 * parsed.
 */

import { acceptOf, isKey } from './accept-key.js';
import type { Compressions } from './compression.js';
import type { DeflateSettings } from './deflate-options.js';
import { type Extension, isTokenCode, parseExtensions } from './extension-list.js';
import { type Agreement, acceptOffer } from './permessage-deflate.js';

/** The values of the header fields; of those that may come several times joined with commas. */
export interface UpgradeValues {
  /** Sec-WebSocket-Key. */
  readonly key: string | undefined;
  /** Sec-WebSocket-Version. */
  readonly version: string | undefined;
  /** Sec-WebSocket-Protocol. */
  readonly protocol?: string | undefined;
  /** Sec-WebSocket-Extensions. */
  readonly extensions?: string | undefined;
  /** Origin; undefined for clients that are no browsers. */
  readonly origin?: string | undefined;
  /** The request target, such as `/chat?room=1`. */
  readonly target?: string | undefined;
}

/** An answer that is not 101, for the caller to send. */
export interface Refusal {
  readonly status: number;
  /** A sentence, which is the body. */
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface UpgradeRules {
  /** The only path that is served; undefined: any. */
  readonly path: string | undefined;
  readonly isOriginAllowed: ((origin: string | undefined) => boolean) | undefined;
  readonly protocols: readonly string[];
  readonly deflate: DeflateSettings | undefined;
}

/** A handshake that can be accepted. */
export interface Opening {
  readonly key: string;
  /** What the client speaks, in its order of preference. */
  readonly offeredProtocols: readonly string[];
  readonly offers: readonly Extension[];
}

const VERSION = '13';
const PROTOCOLS_MAX = 100;

export function refuse(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return { status, message, headers };
}

export function isRefusal(value: object): value is Refusal {
  return 'status' in value;
}

/** The path of a target, without the query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}

/** Judges a request. */
export function checkUpgrade(values: UpgradeValues, rules: UpgradeRules): Opening | Refusal {
  const { key, version, target, origin } = values;
  if (version === undefined) {
    return refuse(400, 'Sec-WebSocket-Version is missing');
  }
  if (version !== VERSION) {
    return refuse(426, 'The version of the WebSocket protocol is 13', {
      'Sec-WebSocket-Version': VERSION,
    });
  }
  if (key === undefined || !isKey(key)) {
    return refuse(400, 'Sec-WebSocket-Key is not 16 bytes in base64');
  }
  if (rules.path !== undefined && target !== undefined && pathOf(target) !== rules.path) {
    return refuse(404, 'There is no WebSocket at this path');
  }
  if (rules.isOriginAllowed !== undefined && rules.isOriginAllowed(origin) !== true) {
    return refuse(403, 'The origin is not allowed');
  }
  const offeredProtocols = parseProtocols(values.protocol);
  if (offeredProtocols === undefined) {
    return refuse(400, 'Sec-WebSocket-Protocol is not a list of different tokens');
  }
  const offers = parseExtensions(values.extensions ?? '');
  if (offers === undefined) {
    return refuse(400, 'Sec-WebSocket-Extensions is malformed');
  }
  return { key, offeredProtocols, offers };
}

/** A list of tokens, each once (section 4.1); empty for no header. */
export function parseProtocols(header: string | undefined): string[] | undefined {
  if (header === undefined) {
    return [];
  }
  const protocols = header.split(',').map((protocol) => protocol.trim());
  const isList =
    protocols.length <= PROTOCOLS_MAX &&
    protocols.every(isToken) &&
    new Set(protocols).size === protocols.length;
  return isList ? protocols : undefined;
}

export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (text.charCodeAt(i) > 0x7e || !isTokenCode(text.charCodeAt(i))) {
      return false;
    }
  }
  return text !== '';
}

export interface Acceptance {
  readonly protocol: string;
  readonly agreement: Agreement | undefined;
  /** The response's head, with the empty line. */
  readonly response: string;
}

/** Accepts: `protocol` is one that was offered, or empty. `headers` have been checked. */
export function accept(
  opening: Opening,
  protocol: string,
  rules: UpgradeRules,
  compressions: Compressions | undefined,
  headers: Readonly<Record<string, string>> = {},
): Acceptance {
  let response =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${acceptOf(opening.key)}\r\n`;
  if (protocol !== '') {
    response += `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  }
  const accepted =
    rules.deflate === undefined || compressions === undefined
      ? undefined
      : acceptOffer(opening.offers, rules.deflate, compressions.offersOwn);
  if (accepted !== undefined) {
    response += `Sec-WebSocket-Extensions: ${accepted.answer}\r\n`;
  }
  for (const [name, value] of Object.entries(headers)) {
    response += `${name}: ${value}\r\n`;
  }
  return { protocol, agreement: accepted?.agreement, response: `${response}\r\n` };
}

/** The first that the client offered and the server speaks. */
export function chooseProtocol(opening: Opening, rules: UpgradeRules): string {
  return opening.offeredProtocols.find((protocol) => rules.protocols.includes(protocol)) ?? '';
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  505: 'HTTP Version Not Supported',
};

/** A whole response that refuses, after which the connection is closed. */
export function refusalResponse({ status, message, headers }: Refusal): string {
  let head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Refused'}\r\nConnection: close\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    head += `${name}: ${value}\r\n`;
  }
  const body = `${message}\n`;
  return (
    `${head}Content-Type: text/plain; charset=utf-8\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
