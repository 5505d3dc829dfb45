/**
 * The grammar of Sec-WebSocket-Extensions (RFC 6455 section 9.1): a list of extensions with parameters, whose values
 * may be quoted but are tokens all the same. Characters are looked at one by one: no regular expression on a peer's
 * bytes.
 */

export interface Extension {
  readonly name: string;
  /** In their order, duplicates included; a parameter without a value has an empty one, which no token is. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** More than anybody offers; what a peer can make us look at is bounded by the header block too. */
const EXTENSIONS_MAX = 16;
const PARAMETERS_MAX = 16;

/** Whether `code` may be in a token (RFC 9110 section 5.6.2). */
export function isTokenCode(code: number): boolean {
  if ((code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a)) {
    return true;
  }
  return (code >= 0x30 && code <= 0x39) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(code));
}

class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  skipBlanks(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') {
      this.#at += 1;
    }
  }

  /** Takes `character` with the blanks around it. */
  take(character: string): boolean {
    this.skipBlanks();
    if (this.#text[this.#at] !== character) {
      return false;
    }
    this.#at += 1;
    this.skipBlanks();
    return true;
  }

  /** Takes a token; empty if there is none. */
  token(): string {
    const start = this.#at;
    while (!this.isAtEnd && isTokenCode(this.#text.charCodeAt(this.#at))) {
      this.#at += 1;
    }
    return this.#text.slice(start, this.#at);
  }

  /** Takes a token or a quoted one. */
  value(): string {
    if (this.#text[this.#at] !== '"') {
      return this.token();
    }
    this.#at += 1;
    let value = '';
    while (!this.isAtEnd && this.#text[this.#at] !== '"') {
      this.#at += this.#text[this.#at] === '\\' ? 1 : 0;
      const code = this.#text.charCodeAt(this.#at);
      if (!isTokenCode(code)) {
        return '';
      }
      value += this.#text[this.#at];
      this.#at += 1;
    }
    this.#at += 1;
    return this.#at > this.#text.length ? '' : value;
  }
}

/** The list, or undefined if the header is not one. Empty elements of the list are skipped (RFC 9110, 5.6.1.2). */
export function parseExtensions(header: string): Extension[] | undefined {
  const cursor = new Cursor(header);
  const extensions: Extension[] = [];
  do {
    cursor.skipBlanks();
    const name = cursor.token();
    if (name === '') {
      continue;
    }
    const parameters = parseParameters(cursor);
    if (parameters === undefined || extensions.length >= EXTENSIONS_MAX) {
      return undefined;
    }
    extensions.push({ name: name.toLowerCase(), parameters });
  } while (cursor.take(','));
  return cursor.isAtEnd ? extensions : undefined;
}

function parseParameters(cursor: Cursor): [string, string][] | undefined {
  const parameters: [string, string][] = [];
  while (cursor.take(';')) {
    const name = cursor.token();
    let value = '';
    if (cursor.take('=')) {
      value = cursor.value();
      if (value === '') {
        return undefined;
      }
    }
    if (name === '' || parameters.length >= PARAMETERS_MAX) {
      return undefined;
    }
    parameters.push([name.toLowerCase(), value]);
  }
  return parameters;
}
