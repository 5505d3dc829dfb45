/**
 * Reads test/http/cases/*.md: each `##` is a case, with a block `http` of what the client sends and a block `events` of
 * what the reader makes of it. Test code, used by request-reader.test.ts and the tests against other parsers.
 *
 * In an `http` block each line stands for itself and CRLF, but the last, which has none. A line that ends with `\` has
 * no CRLF; `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` are bytes; `{N*text}` repeats a text.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface HttpCase {
  /** Such as `chunked.md: a chunk size with a sign`. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly events: readonly string[];
}

const FOLDER = join(import.meta.dirname, '../../../test/http/cases');
const ESCAPES: Record<string, string> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };

export function readCases(folder = FOLDER): HttpCase[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .sort()
    .flatMap((name) => parseCases(name, readFileSync(join(folder, name), 'utf8')));
}

export function parseCases(file: string, text: string): HttpCase[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const title = section.slice(0, section.indexOf('\n'));
      const http = /^```http\n([\s\S]*?)\n?```$/m.exec(section);
      const events = /^```events\n([\s\S]*?)```$/m.exec(section);
      if (http === null || events === null) {
        throw new Error(`${file}: ${title}: expected a block http and a block events`);
      }
      return {
        name: `${file}: ${title}`,
        bytes: encode(http[1]!),
        events: events[1]!.split('\n').filter((line) => line !== ''),
      };
    });
}

/** The bytes that a block stands for. */
export function encode(block: string): Buffer {
  const lines = block.split('\n');
  const text = lines
    .map((line, i) => {
      const isJoined = /(^|[^\\])\\$/.test(line);
      const content = isJoined ? line.slice(0, -1) : line;
      const repeated = content.replace(/\{(\d+)\*([^}]*)\}/g, (_, n, what) =>
        what.repeat(Number(n)),
      );
      const plain = repeated.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (_, hex, letter) =>
        hex === undefined
          ? (ESCAPES[letter] ?? letter)
          : String.fromCharCode(Number.parseInt(hex, 16)),
      );
      return i === lines.length - 1 || isJoined ? plain : `${plain}\r\n`;
    })
    .join('');
  return Buffer.from(text, 'latin1');
}
