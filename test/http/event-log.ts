/** What the reader makes of bytes, as lines of text: the form in which cases and other parsers are compared. */

import { LIMIT_DEFAULTS, type Limits } from '../../src/http/limits.js';
import { REJECT_STATUS } from '../../src/http/rejects.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE } from '../../src/http/message-reader.js';
import { RequestReader } from '../../src/http/request-reader.js';

/** Feeds `bytes` in pieces that end at the given cuts. Adjacent pieces of a body are one event. */
export function logOf(
  bytes: Buffer,
  cuts: readonly number[] = [],
  limits: Limits = LIMIT_DEFAULTS,
): string[] {
  const reader = new RequestReader(limits);
  const log: string[] = [];
  let body = '';
  let from = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    // A copy that is spoiled afterwards: what the reader keeps must be its own.
    const piece = Buffer.from(bytes.subarray(from, cut));
    from = cut;
    let pos = 0;
    for (
      let event = reader.next(piece, pos);
      event !== READ_MORE;
      event = reader.next(piece, pos)
    ) {
      pos = reader.pos;
      if (event === READ_HEAD) {
        log.push(...headLines(reader));
      } else if (event === READ_DATA) {
        body += piece.toString('latin1', reader.dataStart, reader.dataEnd);
      } else {
        if (body !== '') {
          log.push(`body ${quote(body)}`);
          body = '';
        }
        if (event !== READ_END) {
          log.push(`reject ${REJECT_STATUS[reader.reject]} ${reader.reject}`);
          return log;
        }
        for (const [name, value] of reader.trailers?.toMap() ?? []) {
          log.push(`trailer ${name}: ${quote(value)}`);
        }
        log.push('end');
      }
    }
    piece.fill(0xdb);
  }
  if (body !== '') {
    log.push(`body ${quote(body)}`);
  }
  if (!reader.isIdle) {
    log.push('more');
  }
  return log;
}

function headLines({ head, framing }: RequestReader): string[] {
  const notes = [
    framing.keepsAlive ? '' : ' close',
    framing.expectsContinue ? ' expect' : '',
    framing.wantsUpgrade ? ' upgrade' : '',
  ].join('');
  const lines = [`${head.method} ${quote(head.target)} 1.${head.minorVersion}${notes}`];
  for (const [name, value] of head.toMap()) {
    lines.push(`  ${name}: ${quote(value)}`);
  }
  return lines;
}

/** Long runs are shortened, bytes that do not print are escaped. */
export function quote(text: string): string {
  const printable = text.replace(
    /[^\x20-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return printable.replace(/(.)\1{63,}/g, (run, character) => `{${run.length}*${character}}`);
}
