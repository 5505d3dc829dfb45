/**
 * Ranges of bytes (RFC 9110 14): which parts of a representation a Range field asks for, and several of them as one
 * body (multipart/byteranges). No I/O.
 *
 * Ranges are a way to make a server send the same bytes many times over, or tiny pieces (CVE-2011-3192). So those that
 * overlap, or lie closer together than the head of a part is long, become one; what is more than a bound, or as long as
 * the whole, is answered with the whole, as is what is no range at all: the RFC allows all of that.
 */

/** Positions of the first byte and after the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What stands before a part takes about so many bytes: a gap that is smaller is sent as well. */
const GAP_MIN = 128;
/** Numbers of more digits are no positions. */
const DIGITS_MAX = 15;
const ZERO = 0x30;
const NINE = 0x39;

/** The parts that are asked for, in that order, apart from each other; undefined: all of it; `unsatisfiable`: 416. */
export function readRanges(
  field: string | undefined,
  byteLength: number,
  rangesMax: number,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  if (field === undefined || field.slice(0, 6).toLowerCase() !== 'bytes=') {
    return undefined;
  }
  // One more than is allowed, so that splitting costs no more.
  const items = field.slice(6).split(',', rangesMax + 1);
  if (items.length > rangesMax) {
    return undefined;
  }
  const ranges: ByteRange[] = [];
  let isList = false;
  for (const item of items) {
    const text = item.trim();
    if (text === '') {
      // A list may have empty elements (RFC 9110 5.6.1.2).
      continue;
    }
    isList = true;
    const range = readRange(text, byteLength);
    if (range === undefined) {
      return undefined;
    }
    if (range !== 'unsatisfiable') {
      ranges.push(range);
    }
  }
  if (ranges.length === 0) {
    return isList ? 'unsatisfiable' : undefined;
  }
  const apart = ranges.length === 1 ? ranges : coalesce(ranges);
  const isWhole = apart.length > 1 && sumOf(apart) + apart.length * GAP_MIN >= byteLength;
  return isWhole ? undefined : apart;
}

/** One of a list: `5-9`, `5-` or `-5`. */
function readRange(item: string, byteLength: number): ByteRange | 'unsatisfiable' | undefined {
  const dash = item.indexOf('-');
  if (dash < 0) {
    return undefined;
  }
  const first = readPosition(item.slice(0, dash));
  const last = readPosition(item.slice(dash + 1));
  if (first === undefined || last === undefined) {
    return undefined;
  }
  if (first < 0) {
    // The last so many bytes.
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

/** A position; -1 for none; undefined for what is no number. */
function readPosition(digits: string): number | undefined {
  if (digits === '') {
    return -1;
  }
  if (digits.length > DIGITS_MAX) {
    return undefined;
  }
  for (let i = 0; i < digits.length; i += 1) {
    const code = digits.charCodeAt(i);
    if (code < ZERO || code > NINE) {
      return undefined;
    }
  }
  return Number(digits);
}

/** Those that overlap or nearly touch become one, where the first of them was. */
function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const inOrder = ranges.map((range, place) => ({ ...range, place }));
  inOrder.sort((a, b) => a.start - b.start);
  const apart: { start: number; end: number; place: number }[] = [];
  for (const range of inOrder) {
    const last = apart.at(-1);
    if (last !== undefined && range.start - last.end < GAP_MIN) {
      last.end = Math.max(last.end, range.end);
      last.place = Math.min(last.place, range.place);
    } else {
      apart.push(range);
    }
  }
  apart.sort((a, b) => a.place - b.place);
  return apart.map(({ start, end }) => ({ start, end }));
}

function sumOf(ranges: readonly ByteRange[]): number {
  let sum = 0;
  for (const { start, end } of ranges) {
    sum += end - start;
  }
  return sum;
}

/** What stands in a Content-Range. */
export function contentRange({ start, end }: ByteRange, byteLength: number): string {
  return `bytes ${start}-${end - 1}/${byteLength}`;
}

/** The body of several parts: what stands before each, and after the last. */
export interface Multipart {
  readonly contentType: string;
  readonly heads: readonly string[];
  readonly tail: string;
  /** Of all of it, the parts included. */
  readonly byteLength: number;
}

/** `boundary` must not occur in the parts: up to 70 letters, digits or hyphens (RFC 2046 5.1.1). */
export function multipartOf(
  ranges: readonly ByteRange[],
  { type, byteLength, boundary }: { type: string; byteLength: number; boundary: string },
): Multipart {
  const heads = ranges.map(
    (range, i) =>
      `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\n` +
      `Content-Range: ${contentRange(range, byteLength)}\r\n\r\n`,
  );
  const tail = `\r\n--${boundary}--\r\n`;
  let length = tail.length + sumOf(ranges);
  for (const head of heads) {
    length += head.length;
  }
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    heads,
    tail,
    byteLength: length,
  };
}
