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
    const { memory, start, end } = inMemory(bytes.subarray(from, cut));
    from = cut;
    let pos = start;
    for (
      let event = reader.next(memory, pos, end);
      event !== READ_MORE;
      event = reader.next(memory, pos, end)
    ) {
      pos = reader.pos;
      if (event === READ_HEAD) {
        log.push(...headLines(reader));
      } else if (event === READ_DATA) {
        body += memory.toString('latin1', reader.dataStart, reader.dataEnd);
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
    memory.fill(0xdb);
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
  const lines = [`${head.method} ${quote(head.target.text)} 1.${head.minorVersion}${notes}`];
  for (const [name, value] of head.toMap()) {
    lines.push(`  ${name}: ${quote(value)}`);
  }
  return lines;
}

/**
 * A copy in larger memory, as a driver has it: what stands around it would go on with it, and is not to be seen. To be
 * spoiled afterwards: what a reader keeps must be its own.
 */
export function inMemory(bytes: Buffer): { memory: Buffer; start: number; end: number } {
  const before = 'GET / HTTP/1.1\r\nHost: h';
  const memory = Buffer.concat([
    Buffer.from(before),
    bytes,
    Buffer.from('\r\nx: y\r\n\r\n1\r\nz\r\n0\r\n\r\n'),
  ]);
  return { memory, start: before.length, end: before.length + bytes.length };
}

/** Long runs are shortened, bytes that do not print are escaped. */
export function quote(text: string): string {
  const printable = text.replace(
    /[^\x20-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return printable.replace(/(.)\1{63,}/g, (run, character) => `{${run.length}*${character}}`);
}
