/** What the response reader makes of bytes, as lines of text: the form in which cases and llhttp are compared. */

import type { ResponseLimits } from '../../src/http/response-reader.js';
import { READ_INTERIM, ResponseReader } from '../../src/http/response-reader.js';
import { READ_DATA, READ_END, READ_HEAD, READ_MORE } from '../../src/http/message-reader.js';
import { readClientLimits } from '../../src/http/client-limits.js';
import { inMemory, quote } from './event-log.js';

/** Feeds `bytes` in pieces that end at the given cuts, then the end of the stream. One response is expected. */
export function responseLog(
  bytes: Buffer,
  method = 'GET',
  cuts: readonly number[] = [],
  limits: ResponseLimits = readClientLimits({}),
  upgrade = '',
): string[] {
  const reader = new ResponseReader(limits);
  reader.begin(method, upgrade);
  const log: string[] = [];
  let body = '';
  const endBody = (): void => {
    if (body !== '') {
      log.push(`body ${quote(body)}`);
      body = '';
    }
  };
  const end = (): void => {
    endBody();
    for (const [name, value] of reader.trailers?.toMap() ?? []) {
      log.push(`trailer ${name}: ${quote(value)}`);
    }
    log.push(reader.framing.keepsAlive ? 'end' : 'end close');
  };
  let from = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    const { memory, start, end: pieceEnd } = inMemory(bytes.subarray(from, cut));
    from = cut;
    let pos = start;
    for (
      let event = reader.next(memory, pos, pieceEnd);
      event !== READ_MORE;
      event = reader.next(memory, pos, pieceEnd)
    ) {
      pos = reader.pos;
      if (event === READ_HEAD || event === READ_INTERIM) {
        const { head } = reader;
        log.push(`${head.status} ${quote(head.reason)} 1.${head.minorVersion}`);
        for (const [name, value] of head.toMap()) {
          log.push(`  ${name}: ${quote(value)}`);
        }
      } else if (event === READ_DATA) {
        body += memory.toString('latin1', reader.dataStart, reader.dataEnd);
      } else if (event === READ_END) {
        end();
      } else {
        endBody();
        return [...log, `reject ${reader.reject}`];
      }
    }
    memory.fill(0xdb);
  }
  const last = reader.end();
  if (last === READ_END) {
    end();
  } else if (last !== READ_MORE) {
    endBody();
    log.push(`reject ${reader.reject}`);
  }
  return log;
}
