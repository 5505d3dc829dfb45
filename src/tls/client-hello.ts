/**
 * Reads a ClientHello before OpenSSL does (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2): which name is asked for,
 * and under which key the ticket is that it brings. So the certificate is chosen, at leisure if need be, before there
 * is anything of OpenSSL's, and without a callback from C. What it cannot read is left to OpenSSL, which refuses it
 * with the right alert.
 *
 * Pure: bytes in, facts out. The bytes are not changed and not kept.
 */

export interface ClientHello {
  /** server_name (RFC 6066 section 3), in lower case; undefined if there is none, or none that is a host name. */
  readonly serverName: string | undefined;
  /** Whether status_request asks for an OCSP response (RFC 6066 section 8). */
  readonly wantsOcsp: boolean;
  /** The first 16 bytes of each ticket: the name of the key that it is sealed with. */
  readonly ticketKeyNames: readonly Buffer[];
}

/** `incomplete`: more bytes are needed. `invalid`: this is no ClientHello, or too large to be one. */
export type HelloResult = ClientHello | 'incomplete' | 'invalid';

/** A ClientHello larger than this is refused; with post-quantum key shares they have about 2,000 bytes. */
export const HELLO_BYTES_MAX = 16_384;

const RECORD_HEADER_BYTES = 5;
const RECORD_BYTES_MAX = 16_384;
const RECORD_HANDSHAKE = 22;
const MESSAGE_HEADER_BYTES = 4;
const MESSAGE_CLIENT_HELLO = 1;
/** legacy_version and random. */
const FIXED_BYTES = 34;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_STATUS_REQUEST = 5;
const EXTENSION_SESSION_TICKET = 35;
const EXTENSION_PRE_SHARED_KEY = 41;
const KEY_NAME_BYTES = 16;
/** OpenSSL looks at no more of them either. */
const IDENTITIES_MAX = 10;

/** Reads the ClientHello at the start of `bytes`, which may be split over several records. */
export function readClientHello(bytes: Buffer): HelloResult {
  const message = messageOf(bytes);
  return typeof message === 'string' ? message : parse(message);
}

/** The body of the first handshake message. */
function messageOf(bytes: Buffer): Buffer | 'incomplete' | 'invalid' {
  const pieces: Buffer[] = [];
  let have = 0;
  let need = MESSAGE_HEADER_BYTES;
  let at = 0;
  while (have < need) {
    if (bytes.length > at && bytes[at] !== RECORD_HANDSHAKE) {
      return 'invalid';
    }
    if (bytes.length < at + RECORD_HEADER_BYTES) {
      return 'incomplete';
    }
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at + 1] !== 3 || length === 0 || length > RECORD_BYTES_MAX) {
      return 'invalid';
    }
    at += RECORD_HEADER_BYTES;
    const piece = bytes.subarray(at, at + length);
    pieces.push(piece);
    have += piece.length;
    at += length;
    if (need === MESSAGE_HEADER_BYTES && have >= need) {
      const head = pieces.length === 1 ? piece : Buffer.concat(pieces);
      need += head.readUIntBE(1, 3);
      if (head[0] !== MESSAGE_CLIENT_HELLO || need > HELLO_BYTES_MAX) {
        return 'invalid';
      }
    }
    if (have < need && piece.length < length) {
      return 'incomplete';
    }
  }
  const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  return whole.subarray(MESSAGE_HEADER_BYTES, need);
}

function parse(body: Buffer): HelloResult {
  // Each behind its length: session id (8 bits), cipher suites (16), compression methods (8), extensions (16).
  let at = FIXED_BYTES;
  at = skip(body, at, 1);
  at = skip(body, at, 2);
  at = skip(body, at, 1);
  const hello = {
    serverName: undefined as string | undefined,
    wantsOcsp: false,
    ticketKeyNames: [] as Buffer[],
  };
  if (at === body.length) {
    return hello;
  }
  const end = skip(body, at, 2);
  if (end !== body.length) {
    return 'invalid';
  }
  at += 2;
  while (at < end) {
    const next = skip(body, at + 2, 2);
    if (next < 0 || next > end) {
      return 'invalid';
    }
    readExtension(hello, body.readUInt16BE(at), body.subarray(at + 4, next));
    at = next;
  }
  return hello;
}

/** Where a vector ends whose length is in the `size` bytes at `at`; -1 when it does not fit. */
function skip(body: Buffer, at: number, size: 1 | 2): number {
  if (at < 0 || at + size > body.length) {
    return -1;
  }
  const end = at + size + body.readUIntBE(at, size);
  return end > body.length ? -1 : end;
}

function readExtension(
  hello: { serverName: string | undefined; wantsOcsp: boolean; ticketKeyNames: Buffer[] },
  type: number,
  data: Buffer,
): void {
  switch (type) {
    case EXTENSION_SERVER_NAME:
      hello.serverName = serverNameOf(data);
      return;
    case EXTENSION_STATUS_REQUEST:
      hello.wantsOcsp = data[0] === 1;
      return;
    case EXTENSION_SESSION_TICKET:
      addKeyName(hello.ticketKeyNames, data);
      return;
    case EXTENSION_PRE_SHARED_KEY:
      readIdentities(hello.ticketKeyNames, data);
      return;
    default:
      return;
  }
}

/** One name of type host_name (0), as DNS writes them: printable ASCII without a final dot. */
function serverNameOf(data: Buffer): string | undefined {
  if (data.length < 5 || data[2] !== 0) {
    return undefined;
  }
  const length = data.readUInt16BE(3);
  const name = data.toString('latin1', 5, 5 + length);
  const isHostName = name.length === length && length <= 253 && /^[!-~]+$/.test(name);
  return isHostName ? name.toLowerCase().replace(/\.$/, '') : undefined;
}

function addKeyName(names: Buffer[], ticket: Buffer): void {
  if (ticket.length > KEY_NAME_BYTES) {
    names.push(Buffer.from(ticket.subarray(0, KEY_NAME_BYTES)));
  }
}

/** OfferedPsks (RFC 8446 section 4.2.11): identities, each with its age of 32 bits; then binders. */
function readIdentities(names: Buffer[], data: Buffer): void {
  const end = skip(data, 0, 2);
  let at = 2;
  for (let i = 0; i < IDENTITIES_MAX && at < end; i += 1) {
    const next = skip(data, at, 2);
    if (next < 0) {
      return;
    }
    addKeyName(names, data.subarray(at + 2, next));
    at = next + 4;
  }
}
