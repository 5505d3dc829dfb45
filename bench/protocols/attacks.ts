/**
 * What the adversarial benchmark does to a server: for each attack the bytes that its connections send, how many there
 * are, what the server has to answer, and how much memory it may take. The bounds are those of the defaults: what one
 * connection may hold by a limit, and a little for itself.
 */
import { constants, deflateRawSync } from 'node:zlib';

const KIB = 1_024;
const MIB = 1_024 * KIB;

export interface Attack {
  readonly name: string;
  /** Connections at a time. */
  readonly connections: number;
  /** Of how many a second; those that the server closed are replaced, if `again`. */
  readonly perSecond?: number;
  readonly again?: boolean;
  /** Sent at once, and then `drip` each `everyMs`. */
  readonly first: Buffer;
  readonly drip?: Buffer;
  readonly everyMs?: number;
  /** Reads nothing, into a receive buffer of so many bytes. */
  readonly mute?: boolean;
  readonly receiveBuffer?: number;
  /** What the server's answer has in it. */
  readonly expect?: Buffer;
  /** From when all are open. */
  readonly seconds: number;
  /** When the server has to close each, in milliseconds after its first byte; undefined if it need not. */
  readonly closedBetweenMs?: readonly [number, number];
  /** Messages have to be dropped for them, or they were not slow. */
  readonly dropsMessages?: boolean;
  /** The most memory for each connection. */
  readonly bytesMax: number;
}

/** Deadlines are looked at once a second; the rest is for a busy machine. What it was is in the table. */
const DEADLINE_MS = [10_000, 15_000] as const;
/** From when all connections are open. */
const DEADLINE_SECONDS = 12;

export function attacks(connections: number): readonly Attack[] {
  return [...slowAttacks(connections), ...wastefulAttacks()];
}

/** Those that hold on to what they were given. */
function slowAttacks(connections: number): readonly Attack[] {
  return [
    {
      name: 'slow heads',
      connections,
      first: ascii('GET /plaintext HTTP/1.1\r\nHost: localhost\r\n'),
      drip: ascii('X-Drip: a\r\n'),
      everyMs: 4_000,
      expect: ascii('HTTP/1.1 408'),
      seconds: DEADLINE_SECONDS,
      closedBetweenMs: DEADLINE_MS,
      bytesMax: 8 * KIB,
    },
    {
      name: 'slow bodies',
      connections: Math.ceil(connections / 5),
      first: ascii('POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n'),
      drip: ascii('x'),
      everyMs: 1_000,
      expect: ascii('HTTP/1.1 408'),
      seconds: DEADLINE_SECONDS,
      closedBetweenMs: DEADLINE_MS,
      bytesMax: 8 * KIB,
    },
    {
      name: 'slow readers',
      connections: Math.ceil(connections / 10),
      first: ascii('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      mute: true,
      receiveBuffer: 4_096,
      // What the kernel still took counts for rateMin: a second more for each KiB of it.
      seconds: 17,
      closedBetweenMs: [10_000, 20_000],
      // A piece of 64 KiB, outputBytesMax, and what one connection is.
      bytesMax: (64 + 64 + 8) * KIB,
    },
    {
      name: 'stalled subscribers',
      connections: Math.ceil(connections / 10),
      first: handshake('/hub'),
      dropsMessages: true,
      mute: true,
      receiveBuffer: 4_096,
      seconds: 6,
      // backlogBytes, and what one connection is.
      bytesMax: (64 + 8) * KIB,
    },
  ];
}

/** Those that make the server work or keep. */
function wastefulAttacks(): readonly Attack[] {
  return [
    {
      name: 'header floods',
      ...{ connections: 100, perSecond: 300, again: true, seconds: 6 },
      first: Buffer.concat([
        ascii('GET /plaintext HTTP/1.1\r\nHost: localhost\r\n'),
        ascii('X-Flood: 0123456789012345678901234567890123456789\r\n'.repeat(1_200)),
      ]),
      expect: ascii('HTTP/1.1 431'),
      bytesMax: (16 + 8) * KIB,
    },
    {
      name: 'deflate bombs',
      ...{ connections: 16, perSecond: 16, again: true, seconds: 6 },
      first: Buffer.concat([handshake('/ws'), bomb()]),
      expect: closeFrame(1009),
      bytesMax: MIB + 64 * KIB,
    },
    {
      // Those take long: the limit is passed with the last of thousands of blocks, each with codes of its own.
      name: 'deflate blocks',
      ...{ connections: 16, perSecond: 16, again: true, seconds: 6 },
      first: Buffer.concat([handshake('/ws'), costlyBlocks()]),
      expect: closeFrame(1009),
      bytesMax: 2 * MIB + 64 * KIB,
    },
    {
      name: '130,000 fragments',
      ...{ connections: 16, perSecond: 16, again: true, seconds: 6 },
      first: Buffer.concat([handshake('/ws'), fragments(130_000)]),
      expect: closeFrame(1008),
      bytesMax: 72 * KIB,
    },
  ];
}

function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function handshake(path: string): Buffer {
  return ascii(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n',
  );
}

/** The server's close frame begins its payload with the code; only short reasons follow it. */
function closeFrame(code: number): Buffer {
  return Buffer.from([code >> 8, code & 0xff]);
}

/**
 * One compressed message, below the limit of messages, that inflates to nearly a gibibyte. A flush ends a part on a
 * byte, so that one part may follow itself. The masking key is zero.
 */
function bomb(): Buffer {
  return compressed(
    deflateRawSync(Buffer.alloc(16 * MIB), { finishFlush: constants.Z_SYNC_FLUSH }),
  );
}

/** The same of blocks that are mostly codes, and so cost most for each byte: in the end a little above the limit. */
function costlyBlocks(): Buffer {
  const text = Buffer.from(Array.from({ length: 100 }, (_, i) => 97 + (((i * i * 7) >> 3) % 26)));
  return compressed(deflateRawSync(text, { level: 9, finishFlush: constants.Z_SYNC_FLUSH }));
}

function compressed(part: Buffer): Buffer {
  const parts = Math.floor((MIB - KIB) / part.byteLength);
  const payload = Buffer.concat(Array.from({ length: parts }, () => part)).subarray(0, -4);
  const header = Buffer.alloc(14);
  header.set([0xc2, 0x80 | 127]);
  header.writeBigUInt64BE(BigInt(payload.byteLength), 2);
  return Buffer.concat([header, payload]);
}

/** A message of frames of one byte each, without end. */
function fragments(count: number): Buffer {
  const frames = Buffer.alloc(count * 7, Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x61]));
  frames[0] = 0x02;
  return frames;
}
