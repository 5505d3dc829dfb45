/**
 * The close handshake: the cases that the Autobahn suite numbers 7, written from RFC 6455 sections 5.5.1 and 7, for
 * both roles over real sockets.
 */

import { after, before, test } from 'node:test';

import { type CasePeer, CaseRig, ROLES } from '../support/case-peer.js';
import { closePayload, OP } from '../support/frames.js';

let rig: CaseRig;
before(async () => {
  rig = await CaseRig.start();
});
after(() => rig.close());

const { CONTINUATION, TEXT, CLOSE, PING } = OP;

/** What is sent, and what comes back before the close frame of ours, which is `close`. */
async function closes(
  id: string,
  send: (peer: CasePeer) => Buffer[],
  close: string,
  before: readonly string[] = [],
): Promise<void> {
  for (const role of ROLES) {
    const peer = await rig.open(role);
    await peer.send(Buffer.concat(send(peer)));
    await peer.expect(id, before);
    await peer.expectEnd(id, close);
  }
}

async function fails(id: string, payload: Buffer, code: number): Promise<void> {
  for (const role of ROLES) {
    const peer = await rig.open(role);
    await peer.send(peer.frame(CLOSE, payload));
    await peer.expectFailure(id, code);
  }
}

const NORMAL = closePayload(1000);

test('7.1: a close frame is answered, and nothing after it', async () => {
  const hello = 'Hello World!';
  await closes(
    '7.1.1',
    (peer) => [peer.frame(TEXT, hello), peer.frame(CLOSE, NORMAL)],
    'close 1000',
    [`text ${hello}`],
  );
  const twice = (peer: CasePeer) => [peer.frame(CLOSE, NORMAL), peer.frame(CLOSE, NORMAL)];
  await closes('7.1.2', twice, 'close 1000');
  await closes('7.1.3', (peer) => [peer.frame(CLOSE, NORMAL), peer.frame(PING)], 'close 1000');
  const text = (peer: CasePeer) => [peer.frame(CLOSE, NORMAL), peer.frame(TEXT, hello)];
  await closes('7.1.4', text, 'close 1000');
  const between = (peer: CasePeer) => [
    peer.frame(TEXT, 'fragment1', { fin: false }),
    peer.frame(CLOSE, NORMAL),
    peer.frame(CONTINUATION, 'fragment2'),
  ];
  await closes('7.1.5', between, 'close 1000');
  const long = (peer: CasePeer) => [
    peer.frame(TEXT, 'BAsd7&jh23'.repeat(26_214)),
    peer.frame(CLOSE, NORMAL),
    peer.frame(PING),
  ];
  await closes('7.1.6', long, 'close 1000', ['text 262140 B']);
});

test('7.3 and 7.5: payloads of close frames', async () => {
  const reason = 'x'.repeat(123);
  const rows: [string, Buffer | string, string][] = [
    ['7.3.1', '', 'close'],
    ['7.3.3', NORMAL, 'close 1000'],
    ['7.3.4', closePayload(1000, 'Hello World!'), 'close 1000'],
    ['7.3.5', closePayload(1000, reason), 'close 1000'],
  ];
  for (const [id, payload, close] of rows) {
    await closes(id, (peer) => [peer.frame(CLOSE, payload)], close);
  }
  await fails('7.3.2', Buffer.from('a'), 1002);
  await fails('7.3.6', closePayload(1000, `${reason}x`), 1002);
  const surrogate = Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex');
  await fails('7.5.1', closePayload(1000, surrogate), 1007);
});

test('7.7, 7.9 and 7.13: close codes that may travel, and that may not', async () => {
  const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  for (const [i, code] of [...valid, 3000, 3999, 4000, 4999].entries()) {
    const send = (peer: CasePeer) => [peer.frame(CLOSE, closePayload(code))];
    await closes(`7.7.${i + 1}`, send, `close ${code}`);
  }
  const invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999];
  for (const [i, code] of invalid.entries()) {
    await fails(`7.9.${i + 1}`, closePayload(code), 1002);
  }
  await fails('7.13.1', closePayload(5000), 1002);
  await fails('7.13.2', closePayload(65_535), 1002);
});
