/**
 * Beginnings of responses, as text that is made once and not for each response: the status line with the fields that
 * many responses have alike, and the Content-Length with the end of the head. Each is one flat string, so that encoding
 * a batch of responses copies a few long pieces and does not walk a tree of short ones (measured: a tenth of what a
 * small request costs). Bounded: an entry that is in the way of another is replaced.
 */

import { latin1 } from './grammar.js';
import type { PreparedFields } from './response-fields.js';
import { statusLine } from './status.js';

const PLACES = 16;
/** Lengths of small bodies. */
const LENGTHS_MAX = 4_096;

interface Entry {
  readonly status: number;
  readonly common: string;
  readonly prepared: PreparedFields | undefined;
  readonly text: string;
}

/** Those of one reactor. */
export class HeadTexts {
  readonly #entries: (Entry | undefined)[] = new Array(PLACES).fill(undefined);

  /** Status line, common fields (Date, Server) and prepared fields. */
  beginning(status: number, common: string, prepared: PreparedFields | undefined): string {
    const place = (status + (prepared === undefined ? 0 : prepared.id)) & (PLACES - 1);
    const entry = this.#entries[place];
    if (
      entry !== undefined &&
      entry.status === status &&
      entry.prepared === prepared &&
      entry.common === common
    ) {
      return entry.text;
    }
    const text = flat(statusLine(status) + common + (prepared?.text ?? ''));
    this.#entries[place] = { status, common, prepared, text };
    return text;
  }
}

const LENGTHS: (string | undefined)[] = new Array(LENGTHS_MAX).fill(undefined);

/** `Content-Length` and the end of the head. */
export function lengthAndEnd(length: number): string {
  if (length >= LENGTHS_MAX) {
    return `Content-Length: ${length}\r\n\r\n`;
  }
  LENGTHS[length] ??= flat(`Content-Length: ${length}\r\n\r\n`);
  return LENGTHS[length];
}

/** The same text in one piece: what `+` makes is a tree of its parts until somebody reads it. */
function flat(text: string): string {
  return latin1(Buffer.from(text, 'latin1'), 0, text.length);
}
