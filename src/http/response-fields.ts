/**
 * Fields of a response as the text that goes out, checked as they are added: a name that is no token, or a value with a
 * control character, throws before any byte of the response is queued (CWE-113, response splitting).
 *
 * The fields that frame the message are the server's: Transfer-Encoding is refused, Connection may say `close`,
 * `keep-alive` or `upgrade`, Content-Length is noted and kept to.
 */

import { isFieldValue, isToken } from './grammar.js';

export type FieldValueInput = string | number | readonly string[];
export type FieldsInput =
  | Readonly<Record<string, FieldValueInput>>
  | Iterable<readonly [string, string]>;

/** Fields checked and rendered once, for many responses: made by `prepareFields` alone. */
export class PreparedFields {
  static #made = 0;
  /** For the caches of what is made with them. */
  readonly id: number;
  readonly text: string;
  readonly hasDate: boolean;
  readonly closes: boolean;

  constructor(made: ResponseFields) {
    PreparedFields.#made += 1;
    this.id = PreparedFields.#made;
    this.text = made.text;
    this.hasDate = made.hasDate;
    this.closes = made.closes;
  }
}

/** Names that a response field may not have, and why. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['transfer-encoding', 'the server frames the message'],
  ['keep-alive', 'the server decides on it'],
]);

/** All fields of a response together. Far more than clients read. */
const FIELDS_BYTES_MAX = 65_536;

export class ResponseFields {
  text = '';
  hasDate = false;
  closes = false;
  /** As set by the user; -1 if it was not. */
  contentLength = -1;

  /** Those that are given, checked. */
  static of(fields: FieldsInput): ResponseFields {
    const made = new ResponseFields();
    made.addAll(fields);
    return made;
  }

  add(name: string, value: FieldValueInput): void {
    if (typeof value === 'object') {
      for (const one of value) {
        this.#addOne(name, one);
      }
    } else {
      this.#addOne(name, typeof value === 'number' ? String(value) : value);
    }
  }

  #addOne(name: string, value: string): void {
    checkField(name, value);
    // Only the lengths of names that mean something to the server.
    switch (name.length) {
      case 4:
      case 7:
      case 10:
      case 14:
      case 17:
        if (!this.#noteSpecial(name.toLowerCase(), value)) {
          return;
        }
    }
    if (this.text.length + name.length + value.length > FIELDS_BYTES_MAX) {
      throw new RangeError(`The fields of a response are more than ${FIELDS_BYTES_MAX} bytes`);
    }
    this.text += `${name}: ${value}\r\n`;
  }

  /** False if the server writes this field itself. */
  #noteSpecial(name: string, value: string): boolean {
    const refusal = REFUSED.get(name);
    if (refusal !== undefined) {
      throw new TypeError(`Cannot set ${name}: ${refusal}`);
    }
    if (name === 'date') {
      this.hasDate = true;
    } else if (name === 'content-length') {
      this.#noteLength(value);
      return false;
    } else if (name === 'connection') {
      const option = value.toLowerCase();
      if (option !== 'close' && option !== 'keep-alive' && option !== 'upgrade') {
        throw new TypeError(
          `Cannot set connection to ${value}: expected close, keep-alive or upgrade`,
        );
      }
      this.closes ||= option === 'close';
      return option === 'upgrade';
    }
    return true;
  }

  #noteLength(value: string): void {
    const length = Number(value);
    if (value === '' || !Number.isSafeInteger(length) || length < 0 || String(length) !== value) {
      throw new RangeError(`Expected content-length to be a byte count, got ${value}`);
    }
    this.contentLength = length;
  }

  addAll(fields: FieldsInput): void {
    const entries =
      Symbol.iterator in fields
        ? (fields as Iterable<readonly [string, string]>)
        : Object.entries(fields as Record<string, FieldValueInput>);
    for (const [name, value] of entries) {
      this.add(name, value);
    }
  }
}

/**
 * Checks and renders fields that many responses have, once: `response.fields(PLAIN)` then costs next to nothing.
 * Content-Length cannot be among them.
 */
export function prepareFields(fields: FieldsInput): PreparedFields {
  const made = new ResponseFields();
  made.addAll(fields);
  if (made.contentLength >= 0) {
    throw new TypeError('Cannot prepare content-length: it is of one response');
  }
  return new PreparedFields(made);
}

/** Throws TypeError for a field that may not go out. */
export function checkField(name: string, value: string): void {
  if (typeof name !== 'string' || !isToken(name)) {
    throw new TypeError(`Expected a field name to be a token, got ${JSON.stringify(name)}`);
  }
  if (typeof value !== 'string' || !isFieldValue(value)) {
    throw new TypeError(
      `Expected the value of ${name} to be latin1 text without control characters, got ${JSON.stringify(value)}`,
    );
  }
}
