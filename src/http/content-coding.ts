/**
 * Content codings that the client undoes (RFC 9110 8.4), by Node's own zlib: which there are, and what a response's
 * Content-Encoding means. As in the Fetch standard, a list with a coding that is not known is left as it is.
 */

import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

/** What Node 20's types do not have. */
const { createZstdDecompress } = zlib as {
  createZstdDecompress?(options: object): Transform;
};

/** ZSTD_d_windowLogMax, and the most that a coding of HTTP may need (RFC 9659): 8 MiB. */
const ZSTD_WINDOW_LOG_MAX = 100;
const ZSTD_WINDOW_LOG = 23;
/** Codings of one body: nobody has a reason for more, and each costs memory. */
const CODINGS_MAX = 5;
/** Of the first byte of a zlib stream (RFC 1950). */
const METHOD_BITS = 0x0f;
const METHOD_DEFLATE = 8;

export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd';

/** The codings that this Node can undo, as Accept-Encoding. */
export const ACCEPTED =
  createZstdDecompress === undefined ? 'gzip, deflate, br' : 'gzip, deflate, br, zstd';

/**
 * The codings to be undone, in that order; none if there is none, or one that is not known; undefined if they are too
 * many.
 */
export function readCodings(field: string | undefined): readonly ContentCoding[] | undefined {
  const codings: ContentCoding[] = [];
  for (const item of (field ?? '').split(',')) {
    const name = item.trim().toLowerCase();
    // An empty item of a list counts for nothing (RFC 9110 5.6.1).
    if (name === '' || name === 'identity') {
      continue;
    }
    const coding = name === 'x-gzip' ? 'gzip' : name;
    if (!isKnown(coding)) {
      return [];
    }
    if (codings.unshift(coding) > CODINGS_MAX) {
      return undefined;
    }
  }
  return codings;
}

function isKnown(name: string): name is ContentCoding {
  return (
    name === 'gzip' ||
    name === 'deflate' ||
    name === 'br' ||
    (name === 'zstd' && createZstdDecompress !== undefined)
  );
}

/** Taken in by each stream before its source waits, and put out ahead of the reader. */
const BUFFERED = { highWaterMark: 65_536 };

/** A stream that undoes one coding. `first` is the first byte that it will get, if that is known. */
export function decoderOf(coding: ContentCoding, first = METHOD_DEFLATE): Transform {
  switch (coding) {
    case 'gzip':
      return zlib.createGunzip(BUFFERED as zlib.ZlibOptions);
    case 'br':
      return zlib.createBrotliDecompress(BUFFERED as zlib.BrotliOptions);
    case 'zstd':
      return createZstdDecompress!({
        ...BUFFERED,
        params: { [ZSTD_WINDOW_LOG_MAX]: ZSTD_WINDOW_LOG },
      });
    case 'deflate':
      // A zlib stream, by the RFC; some servers send the bare one, as old browsers wanted it.
      return (first & METHOD_BITS) === METHOD_DEFLATE
        ? zlib.createInflate(BUFFERED as zlib.ZlibOptions)
        : zlib.createInflateRaw(BUFFERED as zlib.ZlibOptions);
  }
}
