/**
 * The head of an HTTP/1.1 request or response (RFC 9112), strictly, as far as an opening handshake needs it: it is
 * gathered up to a limit, and then read as a whole. Lines end with CRLF, names are tokens, values have no control
 * characters, nothing is folded; everything else is an error, and there is no lenient switch.
 */

import { isTokenCode } from './extension-list.js';

/** Bytes of a head, of a line, and number of its fields: as nginx, Envoy and uWebSockets have them. */
const HEAD_BYTES_MAX = 16_384;
const LINE_BYTES_MAX = 8_192;
const FIELDS_MAX = 100;

const END = Buffer.from('\r\n\r\n');
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

export interface HttpHead {
  readonly startLine: string;
  /** By name in lower case: the values, in their order. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
}

/** What is wrong with a head. */
export type HeadError = 'malformed' | 'too-large';

/** Gathers a head from pieces. */
export class HeadReader {
  #bytes: Buffer | undefined = undefined;
  #scanned = 0;

  /**
   * Takes the next piece. Undefined: the head is not complete. A number: it is, and the rest of the piece, from there
   * on, is what follows it.
   */
  push(piece: Buffer): number | HeadError | undefined {
    const before = this.#bytes?.length ?? 0;
    // Never more than the limit is kept; one byte over it tells.
    const part = piece.subarray(0, HEAD_BYTES_MAX + 1 - before);
    const bytes = this.#bytes === undefined ? part : Buffer.concat([this.#bytes, part]);
    const end = bytes.indexOf(END, Math.max(0, this.#scanned - END.length + 1));
    this.#scanned = bytes.length;
    if (end >= 0) {
      this.#bytes = bytes.subarray(0, end + 2);
      return end + END.length - before;
    }
    if (bytes.length > HEAD_BYTES_MAX) {
      return 'too-large';
    }
    if (bytes[0] === LF || bytes.indexOf('\n\n') >= 0) {
      // It would never end as this peer means it.
      return 'malformed';
    }
    this.#bytes = bytes === part ? Buffer.from(part) : bytes;
    return undefined;
  }

  /** Reads the head, once `push` has returned a number. */
  read(): HttpHead | HeadError {
    return parseHead(this.#bytes!);
  }
}

/** `bytes`: the lines of a head, each with its CRLF, without the empty one. */
export function parseHead(bytes: Buffer): HttpHead | HeadError {
  const fields = new Map<string, string[]>();
  const lines = bytes.toString('latin1').split('\r\n');
  // What follows the last CRLF.
  if (lines.pop() !== '' || lines.length === 0) {
    return 'malformed';
  }
  if (lines.length - 1 > FIELDS_MAX || lines.some((line) => line.length > LINE_BYTES_MAX)) {
    return 'too-large';
  }
  const startLine = lines[0];
  if (!isText(startLine, 0, startLine.length)) {
    return 'malformed';
  }
  for (let i = 1; i < lines.length; i += 1) {
    if (!readField(lines[i], fields)) {
      return 'malformed';
    }
  }
  return { startLine, fields };
}

function readField(line: string, fields: Map<string, string[]>): boolean {
  let colon = 0;
  while (colon < line.length && isTokenCode(line.charCodeAt(colon))) {
    colon += 1;
  }
  if (colon === 0 || line[colon] !== ':') {
    return false;
  }
  let start = colon + 1;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) {
    start += 1;
  }
  while (end > start && isBlank(line.charCodeAt(end - 1))) {
    end -= 1;
  }
  if (!isText(line, start, end)) {
    return false;
  }
  const name = line.slice(0, colon).toLowerCase();
  const values = fields.get(name);
  if (values === undefined) {
    fields.set(name, [line.slice(start, end)]);
  } else {
    values.push(line.slice(start, end));
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** No control characters but TAB: above all no bare CR, LF and NUL. */
function isText(line: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    const code = line.charCodeAt(i);
    if ((code < SPACE && code !== TAB) || code === 0x7f) {
      return false;
    }
  }
  return true;
}

/** Whether a list of tokens, in any number of fields, has `token` (in lower case). */
export function hasToken(values: readonly string[] | undefined, token: string): boolean {
  return (
    values?.some((value) =>
      value.split(',').some((element) => element.trim().toLowerCase() === token),
    ) ?? false
  );
}

/** Throws TypeError for what may not be the name or the value of a field that we send. */
export function checkField(name: string, value: string): void {
  const isName = name !== '' && [...name].every((c) => c < '\x7f' && isTokenCode(c.charCodeAt(0)));
  if (!isName) {
    throw new TypeError(`Expected the name of a header field, got ${JSON.stringify(name)}`);
  }
  const isValue = typeof value === 'string' && isText(value, 0, value.length);
  if (!isValue || Buffer.byteLength(value) !== value.length) {
    throw new TypeError(`Expected the value of the header field ${name} to be visible ASCII`);
  }
}
