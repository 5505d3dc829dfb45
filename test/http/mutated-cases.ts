/** Cases of the corpus with bytes changed, left out, doubled and put in, for property tests. */

import fc from 'fast-check';

import { readCases } from './case-file.js';

const LONGEST = 600;
/** Bytes that mean something somewhere. */
const SPICE = [...' \t\r\n\0:;,=0159afAF"\\/*chunked\x7f\xff'].map((c) => c.charCodeAt(0));

export function mutatedCases(): fc.Arbitrary<Buffer> {
  const short = readCases().filter(({ bytes }) => bytes.byteLength < LONGEST);
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('replace', 'remove', 'insert', 'double'),
    byte: fc.constantFrom(...SPICE),
  });
  return fc
    .tuple(fc.constantFrom(...short), fc.array(change, { maxLength: 3 }))
    .map(([{ bytes }, changes]) => {
      const list = [...bytes];
      for (const { at, kind, byte } of changes) {
        const i = at % (list.length + 1);
        if (kind === 'replace') list[i] = byte;
        else if (kind === 'remove') list.splice(i, 1);
        else if (kind === 'insert') list.splice(i, 0, byte);
        else list.splice(i, 0, ...list.slice(i, i + 12));
      }
      return Buffer.from(list);
    });
}
