/**
 * UTF-8 in text messages: the cases that the Autobahn suite numbers 6, written from RFC 6455 section 8.1, RFC 3629 and
 * Markus Kuhn's stress test, for both roles over real sockets.
 */

import { after, before, test } from 'node:test';

import { CaseRig, ROLES } from '../support/case-peer.js';
import { OP } from '../support/frames.js';

let rig: CaseRig;
before(async () => {
  rig = await CaseRig.start();
});
after(() => rig.close());

const { CONTINUATION, TEXT } = OP;
const KOSME = Buffer.from('cebae1bdb9cf83cebcceb5', 'hex');

/** Sends a text in fragments; it comes back if it is valid, and else the connection fails with 1007. */
async function text(id: string, fragments: readonly Buffer[], isValid: boolean): Promise<void> {
  for (const role of ROLES) {
    const peer = await rig.open(role);
    const frames = fragments.map((bytes, i) =>
      peer.frame(i === 0 ? TEXT : CONTINUATION, bytes, { fin: i === fragments.length - 1 }),
    );
    await peer.send(Buffer.concat(frames));
    if (isValid) {
      await peer.expect(id, [`text ${Buffer.concat(fragments)}`.trim()]);
      await peer.finish(id);
    } else {
      await peer.expectFailure(id, 1007);
    }
  }
}

/** Cases section.1, section.2, …, each a hexadecimal string. */
async function series(section: string, isValid: boolean, hex: string): Promise<void> {
  for (const [i, bytes] of hex.split(',').entries()) {
    await text(`${section}.${i + 1}`, [Buffer.from(bytes.replaceAll(' ', ''), 'hex')], isValid);
  }
}

function octets(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.from([byte]));
}

const NONE = Buffer.alloc(0);

test('6.1: empty messages and fragments', async () => {
  await text('6.1.1', [NONE], true);
  await text('6.1.2', [NONE, NONE, NONE], true);
  await text('6.1.3', [NONE, Buffer.from('middle frame payload'), NONE], true);
});

test('6.2 and 6.3: valid and invalid text, whole, in two and in single bytes', async () => {
  const valid = Buffer.from('Hello-µ@ßöäüàá-UTF-8!!');
  await text('6.2.1', [valid], true);
  await text('6.2.2', [valid.subarray(0, 12), valid.subarray(12)], true);
  await text('6.2.3', octets(valid), true);
  await text('6.2.4', octets(KOSME), true);
  const invalid = Buffer.concat([KOSME, Buffer.from('eda080', 'hex'), Buffer.from('edited')]);
  await text('6.3.1', [invalid], false);
  await text('6.3.2', octets(invalid), false);
});

test('6.4: invalid text fails at once, before the message or the frame is complete', async () => {
  const rest = Buffer.concat([Buffer.from('8080', 'hex'), Buffer.from('edited')]);
  for (const role of ROLES) {
    for (const [id, wrong] of [
      ['6.4.1', 'f490'],
      ['6.4.2', 'f4908080'],
    ] as const) {
      const peer = await rig.open(role);
      await peer.send(peer.frame(TEXT, KOSME, { fin: false }));
      await peer.send(peer.frame(CONTINUATION, Buffer.from(wrong, 'hex'), { fin: false }));
      // Nothing else is sent before the failure has come.
      await peer.expectFailure(id, 1007);
    }
    for (const [id, length] of [
      ['6.4.3', KOSME.length + 2],
      ['6.4.4', KOSME.length + 4],
    ] as const) {
      const peer = await rig.open(role);
      const whole = Buffer.concat([KOSME, Buffer.from('f490', 'hex'), rest]);
      const bytes = peer.frame(TEXT, whole);
      await peer.send(bytes.subarray(0, bytes.length - whole.length + length));
      await peer.expectFailure(id, 1007);
    }
  }
});

test('6.5 and 6.6: texts with characters of two and three bytes, and all their beginnings', async () => {
  const texts = [
    'cebae1bdb9cf83cebcceb5',
    'f09f9880',
    'e282ac',
    'c3bf',
    '6162c3a9e282acf09f98806a',
  ];
  await series('6.5', true, texts.join());
  const whole = new Set([0, 2, 5, 7, 9, 11]);
  for (let length = 1; length <= KOSME.length; length += 1) {
    await text(`6.6.${length}`, [KOSME.subarray(0, length)], whole.has(length));
  }
});

test('6.7 to 6.11: the first and last sequences of each length, and borders', async () => {
  await series('6.7', true, '00, c280, e0a080, f0908080');
  await series('6.8', false, 'f888808080, fc8480808080');
  await series('6.9', true, '7f, dfbf, efbfbf, f48fbfbf');
  await series('6.10', false, 'f7bfbfbf, fbbfbfbfbf, fdbfbfbfbfbf');
  await series('6.11', true, 'ed9fbf, ee8080, efbfbd, f48fbfbf');
  await text('6.11.5', [Buffer.from('f4908080', 'hex')], false);
});

function each(from: number, to: number): string {
  const bytes = Array.from({ length: to - from + 1 }, (_, i) => [from + i, 0x20]).flat();
  return Buffer.from(bytes).toString('hex');
}

test('6.12 to 6.16: stray, lonely, missing and impossible bytes', async () => {
  const all = Buffer.from(Array.from({ length: 64 }, (_, i) => 0x80 + i)).toString('hex');
  await series('6.12', false, `80, bf, 80bf, 80bf80, 80bf80bf, 80bf80bf80, 80bf80bf80bf, ${all}`);
  const lonely = [each(0xc0, 0xdf), each(0xe0, 0xef), each(0xf0, 0xf7), each(0xf8, 0xfb)];
  await series('6.13', false, [...lonely, each(0xfc, 0xfd)].join());
  const missing = 'c0, e080, f08080, f8808080, fc80808080, df, efbf, f7bfbf, fbbfbfbf, fdbfbfbfbf';
  await series('6.14', false, missing);
  await series('6.15', false, missing.replaceAll(',', ''));
  await series('6.16', false, 'fe, ff, fefeffff');
});

test('6.17 to 6.21: overlong forms and surrogates', async () => {
  await series('6.17', false, 'c0af, e080af, f08080af, f8808080af, fc80808080af');
  await series('6.18', false, 'c1bf, e09fbf, f08fbfbf, f887bfbfbf, fc83bfbfbfbf');
  await series('6.19', false, 'c080, e08080, f0808080, f880808080, fc8080808080');
  await series('6.20', false, 'eda080, edadbf, edae80, edafbf, edb080, edbe80, edbfbf');
  const high = ['eda080', 'edadbf', 'edae80', 'edafbf'];
  const pairs = high.flatMap((first) => [`${first}edb080`, `${first}edbfbf`]);
  await series('6.21', false, pairs.join());
});

test('6.22 and 6.23: non-characters and specials are valid', async () => {
  const points = Array.from({ length: 17 }, (_, plane) => [
    plane * 0x1_0000 + 0xfffe,
    plane * 0x1_0000 + 0xffff,
  ]);
  const hex = (point: number) => Buffer.from(String.fromCodePoint(point)).toString('hex');
  await series('6.22', true, points.flat().map(hex).join());
  const specials = [0xfff9, 0xfffa, 0xfffb, 0xfffc, 0xfffd, 0xfffe, 0xffff];
  await series('6.23', true, specials.map(hex).join());
});
