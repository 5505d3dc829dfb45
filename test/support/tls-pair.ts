/** A TLS connection of the server's, and its peer: for tests of the connection's face. */

import type { Handler, ServeOptions } from '../../src/index.js';
import type { TlsOptions } from '../../src/tls/index.js';
import { awaitCondition } from './await-condition.js';
import { TestCertificates } from './test-certificates.js';
import { NodeClient, type Seen, startTls, type TlsRig } from './tls-rig.js';

export const certificates = new TestCertificates();
const trusting = { ca: certificates.ca.cert, servername: 'localhost' };

export interface Pair {
  readonly rig: TlsRig;
  readonly peer: NodeClient;
  readonly entry: Seen;
  readonly connection: Seen['connection'];
}

export async function pair(
  inner: Handler = {},
  options: Partial<ServeOptions> = {},
  tls: Partial<TlsOptions> = {},
): Promise<Pair> {
  const rig = await startTls(certificates, inner, tls, options);
  const peer = await NodeClient.connect(rig.port, trusting);
  await awaitCondition(() => rig.seen.length === 1, 'onOpen');
  const entry = rig.seen[0]!;
  return { rig, peer, entry, connection: entry.connection };
}

export async function closed(entry: Seen): Promise<NonNullable<Seen['reason']>> {
  await awaitCondition(() => entry.reason !== undefined, 'onClose');
  return entry.reason!;
}

export function numbered(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength);
  for (let i = 0; i < byteLength; i += 1) {
    bytes[i] = (i * 7 + (i >> 9)) & 0xff;
  }
  return bytes;
}
