/** What only some connections have, made when first needed: the others pay one empty field for it. */

import type { CloseReason } from '../api.js';
import type { ChunkConsumer } from '../connection/extras.js';
import type { ConnectionWriter } from '../connection/stream.js';
import type { FilePart } from '../connection/write-queue.js';
import type { TlsConnection } from './tls-connection.js';

export interface Rare {
  /** Ciphertext that the transport refused. */
  readonly held: Buffer[];
  heldBytes: number;
  /** Plaintext that OpenSSL does not take yet, in pieces that the pipe holds. */
  readonly stalled: Buffer[];
  stalledBytes: number;
  /** Parts of files that are not encrypted yet. */
  readonly files: FilePart[];
  /** Somebody will go on with them. */
  isPumpDue: boolean;
  /** Receipts and promises that wait for these. */
  readonly receipts: ((handedOver: boolean) => void)[];
  readonly waiters: ((drained: boolean) => void)[];
  writer: ConnectionWriter | undefined;
  /** An async iterator's side that is fed. */
  consumer: ChunkConsumer | undefined;
  corkDepth: number;
  /** Why it closes, where the transport would say something else. */
  reason: { code: CloseReason['code']; error: Error | undefined } | undefined;
}

export function rareOf(c: TlsConnection): Rare {
  c.rare ??= {
    held: [],
    heldBytes: 0,
    stalled: [],
    stalledBytes: 0,
    files: [],
    isPumpDue: false,
    receipts: [],
    waiters: [],
    writer: undefined,
    consumer: undefined,
    corkDepth: 0,
    reason: undefined,
  };
  return c.rare;
}
