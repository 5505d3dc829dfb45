/**
 * Conditional requests (RFC 9110 13): what the fields of a request mean for a representation with an entity tag and a
 * date. No I/O.
 */

import { parseHttpDate } from './http-date.js';

/** The state of what would be sent. */
export interface Representation {
  /** Quoted, and strong. */
  readonly etag: string;
  /** Milliseconds; compared in whole seconds. */
  readonly modifiedMs: number;
  readonly byteLength: number;
}

export interface ConditionFields {
  header(name: string): string | undefined;
}

/** What to answer instead of the representation, if so. */
export function checkConditions(
  fields: ConditionFields,
  { etag, modifiedMs }: Representation,
): 304 | 412 | undefined {
  const seconds = Math.floor(modifiedMs / 1_000);
  const match = fields.header('if-match');
  if (match !== undefined) {
    if (!hasTag(match, etag, false)) {
      return 412;
    }
  } else {
    const unmodified = parseHttpDate(fields.header('if-unmodified-since') ?? '');
    if (unmodified !== undefined && seconds * 1_000 > unmodified) {
      return 412;
    }
  }
  const noneMatch = fields.header('if-none-match');
  if (noneMatch !== undefined) {
    return hasTag(noneMatch, etag, true) ? 304 : undefined;
  }
  const since = parseHttpDate(fields.header('if-modified-since') ?? '');
  return since !== undefined && seconds * 1_000 <= since ? 304 : undefined;
}

/**
 * Whether a list of entity tags, or `*`, has this one. Weak ones count only in a weak comparison (RFC 9110 8.8.3.2).
 */
function hasTag(list: string, etag: string, isWeak: boolean): boolean {
  if (list.trim() === '*') {
    return true;
  }
  let at = 0;
  while (at < list.length) {
    const quote = list.indexOf('"', at);
    const end = quote < 0 ? -1 : list.indexOf('"', quote + 1);
    if (end < 0) {
      return false;
    }
    const tagIsWeak = list.slice(at, quote).trimEnd().endsWith('W/');
    if (list.slice(quote, end + 1) === etag && (isWeak || !tagIsWeak)) {
      return true;
    }
    at = end + 1;
  }
  return false;
}

/** The Range field, unless it is to be ignored, being meant for another version (RFC 9110 13.1.5). */
export function rangeOf(
  fields: ConditionFields,
  { etag, modifiedMs }: Representation,
): string | undefined {
  const range = fields.header('range');
  const condition = fields.header('if-range');
  if (range !== undefined && condition !== undefined && condition !== etag) {
    // A date must be exactly the one that was given, a weak tag never is the same.
    const date = parseHttpDate(condition);
    if (date === undefined || date !== Math.floor(modifiedMs / 1_000) * 1_000) {
      return undefined;
    }
  }
  return range;
}
