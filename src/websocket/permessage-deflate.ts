/**
 * Negotiation of permessage-deflate (RFC 7692 section 7.1), both sides: what was offered and answered becomes an
 * agreement on windows and on who forgets its window after each message.
 *
 * A parameter that is unknown, doubled or out of range makes a server pass over the offer, and a client fail the
 * connection (section 7.1): no value from a peer reaches zlib unchecked (CVE-2026-2229).
 */

import type { DeflateSettings } from './deflate-options.js';
import type { Extension } from './extension-list.js';

export const NAME = 'permessage-deflate';
const SERVER_FORGETS = 'server_no_context_takeover';
const CLIENT_FORGETS = 'client_no_context_takeover';
const SERVER_BITS = 'server_max_window_bits';
const CLIENT_BITS = 'client_max_window_bits';

const BITS_MAX = 15;

/** From the point of view of one side. */
export interface Agreement {
  /** We compress with a window of this size, and keep it from message to message, or not. */
  readonly deflateBits: number;
  readonly deflateKeeps: boolean;
  /** The peer does. */
  readonly inflateBits: number;
  readonly inflateKeeps: boolean;
}

interface Parameters {
  readonly serverForgets: boolean;
  readonly clientForgets: boolean;
  /** 0: not mentioned. */
  readonly serverBits: number;
  /** 0: not mentioned; -1: mentioned without a value. */
  readonly clientBits: number;
}

/** Undefined for what section 7.1 does not allow. */
function readParameters(extension: Extension): Parameters | undefined {
  const seen = new Map<string, string>();
  for (const [name, value] of extension.parameters) {
    if (seen.has(name)) {
      return undefined;
    }
    seen.set(name, value);
  }
  for (const [name, value] of seen) {
    const isFlag = name === SERVER_FORGETS || name === CLIENT_FORGETS;
    const isBits = name === SERVER_BITS || name === CLIENT_BITS;
    if (isFlag ? value !== '' : !isBits || !isBitsValue(value, name === CLIENT_BITS)) {
      return undefined;
    }
  }
  const clientBits = seen.get(CLIENT_BITS);
  return {
    serverForgets: seen.has(SERVER_FORGETS),
    clientForgets: seen.has(CLIENT_FORGETS),
    serverBits: Number(seen.get(SERVER_BITS) ?? 0),
    clientBits: clientBits === '' ? -1 : Number(clientBits ?? 0),
  };
}

/** 8 to 15 without leading zeros. */
function isBitsValue(value: string, mayBeEmpty: boolean): boolean {
  if (value === '') {
    return mayBeEmpty;
  }
  const bits = Number(value);
  return String(bits) === value && Number.isInteger(bits) && bits >= 8 && bits <= BITS_MAX;
}

/** The server's side: takes the first offer that it can, or none. */
export function acceptOffer(
  offers: readonly Extension[],
  settings: DeflateSettings,
  isOwn: boolean,
): { agreement: Agreement; answer: string } | undefined {
  for (const offer of offers) {
    const offered = offer.name === NAME ? readParameters(offer) : undefined;
    if (offered !== undefined) {
      return answerTo(offered, settings, isOwn);
    }
  }
  return undefined;
}

function answerTo(offered: Parameters, settings: DeflateSettings, isOwn: boolean) {
  const serverForgets = offered.serverForgets || !isOwn;
  const clientForgets = offered.clientForgets || !isOwn;
  const serverBits = Math.min(settings.windowBits, offered.serverBits || BITS_MAX);
  // A client that does not mention it cannot be asked for less (section 7.1.2.2).
  const clientMax = offered.clientBits > 0 ? offered.clientBits : BITS_MAX;
  const clientBits =
    offered.clientBits === 0 ? BITS_MAX : Math.min(settings.peerWindowBits, clientMax);
  let answer = NAME;
  answer += serverForgets ? `; ${SERVER_FORGETS}` : '';
  answer += clientForgets ? `; ${CLIENT_FORGETS}` : '';
  answer += serverBits < BITS_MAX || offered.serverBits > 0 ? `; ${SERVER_BITS}=${serverBits}` : '';
  answer += clientBits < BITS_MAX ? `; ${CLIENT_BITS}=${clientBits}` : '';
  const agreement = {
    deflateBits: serverBits,
    deflateKeeps: !serverForgets,
    inflateBits: clientBits,
    inflateKeeps: !clientForgets,
  };
  return { agreement, answer };
}

/** The client's side: the header value of its one offer. */
export function makeOffer(settings: DeflateSettings): string {
  const isShared = settings.contexts === 'shared';
  let offer = NAME;
  offer += isShared ? `; ${SERVER_FORGETS}; ${CLIENT_FORGETS}` : '';
  offer += settings.peerWindowBits < BITS_MAX ? `; ${SERVER_BITS}=${settings.peerWindowBits}` : '';
  offer +=
    settings.windowBits < BITS_MAX ? `; ${CLIENT_BITS}=${settings.windowBits}` : `; ${CLIENT_BITS}`;
  return offer;
}

/** What the server made of `makeOffer`; undefined if it may not answer so: the connection has failed. */
export function readAnswer(answer: Extension, settings: DeflateSettings): Agreement | undefined {
  const given = answer.name === NAME ? readParameters(answer) : undefined;
  if (given === undefined || given.clientBits === -1) {
    return undefined;
  }
  const isShared = settings.contexts === 'shared';
  if (isShared && !given.serverForgets) {
    return undefined;
  }
  const asked = settings.peerWindowBits;
  if (asked < BITS_MAX && (given.serverBits === 0 || given.serverBits > asked)) {
    return undefined;
  }
  if (given.clientBits > settings.windowBits) {
    return undefined;
  }
  return {
    deflateBits: given.clientBits || settings.windowBits,
    deflateKeeps: !given.clientForgets && !isShared,
    inflateBits: given.serverBits || BITS_MAX,
    inflateKeeps: !given.serverForgets,
  };
}
