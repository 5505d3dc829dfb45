/** What a trailer section may tell those who read the message (RFC 9110 6.5.1). */

import type { FieldBlock } from './field-block.js';

const NONE: ReadonlyMap<string, string> = new Map();

/**
 * Fields that mean something to framing, routing, authentication or the reading of the body: too late, hence dropped.
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'max-forwards',
  'pragma',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

/** Whether a field, by its name in lower case, may be in a trailer section. */
export function isTrailer(name: string): boolean {
  return !FORBIDDEN.has(name);
}

/** By name in lower case. */
export function trailersOf(fields: FieldBlock | undefined): ReadonlyMap<string, string> {
  if (fields === undefined) {
    return NONE;
  }
  const map = fields.toMap();
  for (const name of FORBIDDEN) {
    map.delete(name);
  }
  return map;
}
