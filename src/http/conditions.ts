/**
 * Conditional and range requests (RFC 9110 13 and 14): what the fields of a request mean for a representation with an
 * entity tag and a date. No I/O. Several ranges at once are answered with the whole, which the RFC allows: putting
 * together pieces of pieces is a way to make servers work.
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

/** Positions of the first byte and after the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The range that is asked for; undefined: all of it; `unsatisfiable`: 416. */
export function readRange(
  fields: ConditionFields,
  { etag, modifiedMs, byteLength }: Representation,
): ByteRange | 'unsatisfiable' | undefined {
  const range = fields.header('range');
  if (range === undefined || !range.startsWith('bytes=')) {
    return undefined;
  }
  const condition = fields.header('if-range');
  if (condition !== undefined && condition !== etag) {
    // A date must be exactly the one that was given, a weak tag never is the same.
    const date = parseHttpDate(condition);
    if (date === undefined || date !== Math.floor(modifiedMs / 1_000) * 1_000) {
      return undefined;
    }
  }
  const dash = range.indexOf('-');
  const first = readPosition(range.slice(6, dash < 0 ? undefined : dash));
  const last = dash < 0 ? undefined : readPosition(range.slice(dash + 1));
  if (dash < 0 || first === undefined || last === undefined) {
    return undefined;
  }
  return clip(first, last, byteLength);
}

function clip(
  first: number,
  last: number,
  byteLength: number,
): ByteRange | 'unsatisfiable' | undefined {
  if (first < 0) {
    // `-500`: the last 500 bytes.
    if (last < 0) {
      return undefined;
    }
    return last === 0 || byteLength === 0
      ? 'unsatisfiable'
      : { start: Math.max(byteLength - last, 0), end: byteLength };
  }
  if (last >= 0 && last < first) {
    return undefined;
  }
  if (first >= byteLength) {
    return 'unsatisfiable';
  }
  return { start: first, end: last < 0 ? byteLength : Math.min(last + 1, byteLength) };
}

/** A position; -1 for none; undefined for what is no number, also where a list goes on. */
function readPosition(text: string): number | undefined {
  const digits = text.trim();
  if (digits === '') {
    return -1;
  }
  if (digits.length > 15) {
    return undefined;
  }
  for (let i = 0; i < digits.length; i += 1) {
    if (digits.charCodeAt(i) < 0x30 || digits.charCodeAt(i) > 0x39) {
      return undefined;
    }
  }
  return Number(digits);
}
