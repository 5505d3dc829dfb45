/** Options of permessage-deflate (RFC 7692), with their defaults. */

import { hasZlib } from '../base/zlib.js';
import { MillraceError } from '../errors.js';

export interface DeflateOptions {
  /**
   * `shared` (the default): all connections of a reactor use the same two contexts, which forget each message; a
   * connection costs no memory. `own`: each keeps its windows, up to 300 KiB, and repeated text gets smaller.
   */
  contexts?: 'shared' | 'own';
  /** The most connections of a reactor with contexts of their own; those beyond get the shared ones. 1,000. */
  ownContextsMax?: number;
  /** zlib's level, 0 to 9. 6. */
  level?: number;
  /** zlib's memory level, 1 to 9. 8. */
  memoryLevel?: number;
  /** The window that we compress with, 8 to 15 bits. 15. */
  windowBits?: number;
  /** The window that the peer is asked to compress with, 8 to 15 bits. 15. */
  peerWindowBits?: number;
  /** Messages below this many bytes are sent as they are. 1,024. */
  thresholdBytes?: number;
  /** What a message may grow to when it is inflated, as a multiple, once it is above 65,536 bytes. 100. */
  ratioMax?: number;
}

export type DeflateSettings = Readonly<Required<DeflateOptions>>;

const DEFAULTS: DeflateSettings = Object.freeze({
  contexts: 'shared',
  ownContextsMax: 1_000,
  level: 6,
  memoryLevel: 8,
  windowBits: 15,
  peerWindowBits: 15,
  thresholdBytes: 1_024,
  ratioMax: 100,
});

const RANGES: Readonly<Record<Exclude<keyof DeflateOptions, 'contexts'>, [number, number]>> = {
  ownContextsMax: [0, 0xffff_ffff],
  level: [0, 9],
  memoryLevel: [1, 9],
  windowBits: [8, 15],
  peerWindowBits: [8, 15],
  thresholdBytes: [0, 0xffff_ffff],
  ratioMax: [1, 0xffff_ffff],
};

/**
 * @throws TypeError or RangeError for what is out of range; MillraceError `ERR_NO_ZLIB` where this Node's zlib cannot
 * be reached.
 */
export function readDeflateOptions(options: DeflateOptions): DeflateSettings {
  if (!hasZlib()) {
    throw new MillraceError('ERR_NO_ZLIB', 'Cannot compress: this node exports no usable zlib');
  }
  const contexts = options.contexts ?? DEFAULTS.contexts;
  if (contexts !== 'shared' && contexts !== 'own') {
    throw new TypeError(`Expected deflate.contexts to be shared or own, got ${String(contexts)}`);
  }
  const settings: Record<string, unknown> = { contexts };
  for (const [name, [lowest, highest]] of Object.entries(RANGES)) {
    const key = name as keyof typeof RANGES;
    const value: unknown = options[key] ?? DEFAULTS[key];
    if (!Number.isInteger(value) || (value as number) < lowest || (value as number) > highest) {
      throw new RangeError(
        `Expected deflate.${name} to be an integer from ${lowest} to ${highest}, got ${String(value)}`,
      );
    }
    settings[name] = value;
  }
  return Object.freeze(settings) as unknown as DeflateSettings;
}
