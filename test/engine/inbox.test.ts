/** Letters between threads, on the receiver's side: with a reactor in a simulated process. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Handler } from '../../src/api.js';
import { AF_INET } from '../../src/base/linux.js';
import { makeId } from '../../src/connection/connection-table.js';
import { Mailbox } from '../../src/connection/mailbox.js';
import { discardLetters, Inbox } from '../../src/engine/inbox.js';
import { Postbox } from '../../src/engine/mail.js';
import { hookNotes, type RigOptions, SimRig } from '../support/reactor-rig.js';

let rig: SimRig;
let mailbox: Mailbox;
let pending: Int32Array;
let box: Postbox;
let inbox: Inbox;
let wakeDescriptor: number;

function open(handler: Handler = {}, options: RigOptions = {}): void {
  rig = SimRig.open(handler, options);
  mailbox = Mailbox.create(4_096);
  pending = new Int32Array(new SharedArrayBuffer(4));
  wakeDescriptor = rig.kernel.eventfd();
  box = new Postbox(rig.kernel, mailbox, wakeDescriptor, pending);
  inbox = new Inbox(mailbox, pending, rig.profile);
}

afterEach(async () => {
  assert.equal(pending[0], 0, 'bytes are counted as under way');
  rig.kernel.close(wakeDescriptor);
  await rig.close();
});

/** A descriptor that another thread accepted, and the peer behind it. */
async function acceptElsewhere() {
  const { kernel, world } = rig;
  const listener = kernel.socket(AF_INET, 1, 0);
  kernel.bind(listener, new Uint8Array([AF_INET, 0, 7, 208, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
  kernel.listen(listener, 8);
  const peer = world.peer();
  peer.connect('tcp://127.0.0.1:2000');
  let fd = -1;
  await rig.until(() => {
    fd = fd < 0 ? kernel.accept(listener) : fd;
    return fd >= 0;
  });
  kernel.close(listener);
  return { fd, peer };
}

describe('a letter', () => {
  it('with a descriptor makes a connection', async () => {
    const events: string[] = [];
    open(hookNotes(events));
    const { fd, peer } = await acceptElsewhere();
    assert.equal(box.sendDescriptor(fd, AF_INET), true);
    assert.equal(inbox.drain(rig.reactor), false);
    peer.send('hello');
    await rig.until(() => events.length === 2);
    assert.deepEqual(events, ['open', 'data hello']);
    const { adopted, mailboxMessages, connections } = rig.stats.snapshot(0);
    assert.deepEqual([adopted, mailboxMessages, connections], [1, 1, 1]);
  });

  it('with a descriptor that there is no room for closes it', async () => {
    open({}, { connectionsMax: 1 });
    await rig.connect();
    const { fd, peer } = await acceptElsewhere();
    box.sendDescriptor(fd, AF_INET);
    inbox.drain(rig.reactor);
    await rig.until(() => peer.isOver);
    assert.equal(rig.stats.snapshot(0).refusedConnectionsMax, 1);
  });

  it('with bytes writes them, in order, and is dropped when the connection is gone', async () => {
    open();
    const { connection, peer } = await rig.connect();
    for (const text of ['one ', 'two ', 'three']) {
      assert.equal(box.sendWrite(connection.id, Buffer.from(text)), 'queued');
    }
    inbox.drain(rig.reactor);
    await rig.until(() => peer.received().toString() === 'one two three');
    connection.abort();
    box.sendWrite(connection.id, Buffer.from('late'));
    box.sendWrite(makeId(0, 4_000, 3), Buffer.from('lost'));
    inbox.drain(rig.reactor);
  });

  it('whose bytes a full queue refuses ends the connection: its stream would have a hole', async () => {
    const events: string[] = [];
    open(hookNotes(events), { writeQueueMax: 1_000 });
    const { connection } = await rig.connect({ isReadingStopped: true });
    connection.write(Buffer.alloc(1_000_000));
    box.sendWrite(connection.id, Buffer.from('x'));
    inbox.drain(rig.reactor);
    await rig.until(() => events.length === 2);
    assert.deepEqual(events, ['open', 'close overflow']);
  });

  it('with a message goes to onMessage, whose bytes are the callee’s', () => {
    const messages: [Buffer, number][] = [];
    open({ onMessage: (_reactor, bytes, from) => void messages.push([bytes, from]) });
    box.sendMessage(-1, Buffer.from('first'));
    box.sendMessage(2, new Uint8Array(0));
    box.sendMessage(2, Buffer.from('third'));
    inbox.drain(rig.reactor);
    assert.deepEqual(
      messages.map(([bytes, from]) => [bytes.toString(), from]),
      [
        ['first', -1],
        ['', 2],
        ['third', 2],
      ],
    );
  });
});

it('one drain works off a bounded number, and says that there are more', () => {
  let messages = 0;
  open({
    onMessage() {
      messages += 1;
    },
  });
  for (let i = 0; i < 2_500; i += 1) {
    box.sendMessage(0, new Uint8Array(0));
  }
  const answers = [1, 2, 3, 4].map(() => [inbox.drain(rig.reactor), messages]);
  assert.deepEqual(answers, [
    [true, 1_024],
    [true, 2_048],
    [false, 2_500],
    [false, 2_500],
  ]);
});

it('discardLetters() closes descriptors and frees blocks', async () => {
  open();
  const { fd, peer } = await acceptElsewhere();
  box.sendDescriptor(fd, AF_INET);
  for (let i = 0; i < 2_000; i += 1) {
    box.sendMessage(0, Buffer.from('lost'));
    box.sendWrite(0, new Uint8Array(0));
  }
  discardLetters(rig.kernel, mailbox, pending);
  assert.deepEqual([pending[0], rig.world.memory.liveBlocks], [0, 0]);
  await rig.until(() => peer.isOver);
});
