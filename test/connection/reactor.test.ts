/** A reactor as its users and the engine see it: tasks, ids, mail, dials, and its end. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import { AF_INET, SOCK_STREAM } from '../../src/base/linux.js';
import { makeId } from '../../src/connection/connection-table.js';
import { Profile } from '../../src/connection/profile.js';
import { receiveMessage } from '../../src/connection/receive-message.js';
import type { MillraceError } from '../../src/errors.js';
import { hookNotes, type RigOptions, SimRig } from '../support/reactor-rig.js';

let rig: SimRig;

function open(handler: Handler = {}, options: RigOptions = {}) {
  rig = SimRig.open(handler, options);
  return rig;
}

afterEach(() => rig.close());

describe('execute()', () => {
  it('runs tasks in order, in a later turn, with the reactor', async () => {
    const { reactor } = open();
    const notes: unknown[] = [];
    reactor.execute((given) => notes.push(given === reactor));
    reactor.execute(() => {
      notes.push('second');
      reactor.execute(() => notes.push('third'));
      notes.push('still second');
    });
    assert.deepEqual(notes, []);
    await rig.until(() => notes.length === 4);
    assert.deepEqual(notes, [true, 'second', 'still second', 'third']);
  });

  it('passes over a task that throws, with a warning', async () => {
    const { reactor } = open();
    let isRun = false;
    reactor.execute(() => {
      throw new Error('as told');
    });
    reactor.execute(() => {
      isRun = true;
    });
    await rig.until(() => isRun);
    assert.deepEqual(rig.warnings.map(String), ['Error: as told']);
    assert.throws(() => reactor.execute('task' as unknown as () => void), TypeError);
  });

  it('runs a task that a hook asks for at the end of a turn', async () => {
    const notes: string[] = [];
    const onDrain = ({ reactor }: Connection) => reactor.execute(() => notes.push('task'));
    open({ onDrain });
    const { connection } = await rig.connect();
    connection.write(Buffer.alloc(300_000));
    await rig.until(() => notes.length > 0);
  });

  it('does not let a flood of tasks starve connections', async () => {
    const events: string[] = [];
    const { reactor } = open(hookNotes(events));
    const { peer } = await rig.connect();
    let runs = 0;
    const again = () => {
      runs += 1;
      if (events.length === 1) {
        reactor.execute(again);
      }
    };
    reactor.execute(again);
    peer.send('x');
    await rig.until(() => events.length === 2);
    assert.ok(runs < 10_000);
  });
});

describe('find()', () => {
  it('knows its open connections by id, and no other reactor’s', async () => {
    const { reactor } = open({}, { index: 3 });
    const { connection } = await rig.connect();
    const { id, slot, generation } = connection;
    assert.equal(id, makeId(3, generation, slot));
    assert.equal(reactor.find(id), connection);
    const wrong = [
      makeId(2, generation, slot),
      makeId(3, generation + 1, slot),
      -1,
      0.5,
      Number.NaN,
    ];
    for (const each of [...wrong, makeId(3, generation, slot + 1), '1' as unknown as number]) {
      assert.equal(reactor.find(each), undefined, String(each));
    }
  });
});

describe('connections()', () => {
  it('are the open ones, and may be closed and opened while they are iterated', async () => {
    const { reactor } = open();
    for (let i = 0; i < 4; i += 1) {
      await rig.connect();
    }
    let seen = 0;
    for (const connection of reactor.connections()) {
      seen += 1;
      connection.abort();
      for (const other of reactor.connections()) {
        assert.notEqual(other, connection);
      }
    }
    assert.deepEqual([seen, [...reactor.connections()].length], [4, 0]);
    await rig.until(() => reactor.connectionCount === 0);
  });

  it('does not have those of which nobody was told', async () => {
    const counts: number[] = [];
    open({
      onOpen: ({ reactor }) => void counts.push([...reactor.connections()].length),
      onClose: ({ reactor }) => void counts.push([...reactor.connections()].length),
    });
    const { connection } = await rig.connect();
    connection.abort();
    await rig.until(() => counts.length === 2);
    assert.deepEqual(counts, [1, 0]);
  });
});

describe('now', () => {
  it('stands still in a turn and goes on outside of it', async () => {
    const { reactor } = open();
    const before = reactor.now;
    await rig.pass(50);
    assert.ok(reactor.now >= before + 50);
    const times: number[] = [];
    reactor.execute(() => times.push(reactor.now));
    reactor.execute(() => times.push(reactor.now));
    await rig.until(() => times.length === 2);
    assert.equal(times[0], times[1]);
  });
});

describe('mail', () => {
  it('to own connections is written, to others handed to the peers, by the id', async () => {
    const calls: unknown[] = [];
    const peers = {
      count: 3,
      write(id: number) {
        calls.push(['write', id]);
        return 'queued' as const;
      },
      send: () => 'queued' as const,
      post(index: number) {
        calls.push(['post', index]);
        return index !== 1;
      },
    };
    const { reactor } = open({}, { index: 1, peers });
    const { peer, connection } = await rig.connect();
    const bytes = Buffer.from('mail');
    assert.equal(reactor.write(connection.id, bytes), 'sent');
    await rig.until(() => peer.received().equals(bytes));
    assert.equal(reactor.write(makeId(1, 77, 5), bytes), 'closed');
    assert.equal(reactor.write(makeId(2, 77, 5), bytes), 'queued');
    assert.equal(reactor.post(2, bytes), true);
    assert.equal(reactor.broadcast(bytes), false);
    assert.deepEqual(calls, [
      ['write', makeId(2, 77, 5)],
      ['post', 2],
      ['post', 0],
      ['post', 1],
      ['post', 2],
    ]);
    assert.equal(reactor.count, 3);
  });

  it('for the handler goes to onMessage; one that throws is told', () => {
    const messages: unknown[] = [];
    const { reactor } = open({
      onMessage(given, bytes, from) {
        messages.push(given === reactor, bytes.toString(), from);
        throw new Error('as told');
      },
    });
    receiveMessage(reactor, Buffer.from('hello'), 7);
    assert.deepEqual(messages, [true, 'hello', 7]);
    assert.deepEqual(rig.warnings.map(String), ['Error: as told']);
    assert.equal(rig.stats.hook, 'none');
  });
});

describe('dial()', () => {
  it('makes a connection that counts, closes and ends like an accepted one', async () => {
    const events: string[] = [];
    const { reactor } = open();
    const listener = rig.world.listener('tcp://127.0.0.1:7000');
    let dialed: Connection | undefined;
    const handler = hookNotes(events);
    void reactor.dial('tcp://127.0.0.1:7000', { handler, context: 5 }).then((connection) => {
      events.push('resolved');
      dialed = connection;
    });
    await rig.until(() => dialed !== undefined && listener.peers.length === 1);
    assert.deepEqual([dialed?.context, dialed?.state, reactor.connectionCount], [5, 'open', 1]);
    listener.peers[0].send('hello');
    listener.peers[0].end();
    await rig.until(() => events.at(-1) === 'close ended');
    assert.deepEqual(events, ['open', 'resolved', 'data hello', 'end', 'close ended']);
    assert.equal(rig.stats.snapshot(0).dialed, 1);
    listener.close();
  });

  it('is refused once the reactor closes, and pending ones fail', async () => {
    rig = SimRig.open({}, {}, { faults: { connectLost: 1 } });
    const { reactor } = rig;
    const codes: string[] = [];
    const note = (error: MillraceError) => codes.push(error.code);
    reactor.dial('tcp://127.0.0.1:7000').catch(note);
    await rig.pass(5);
    reactor.closeAll();
    reactor.dial('tcp://127.0.0.1:7000').catch(note);
    await rig.pass(5);
    assert.deepEqual(codes, ['ERR_CLOSED', 'ERR_CLOSED']);
  });
});

describe('descriptors', () => {
  it('of others are taken while there is room, and stay theirs when there is none', async () => {
    const { reactor, kernel } = open({}, { connectionsMax: 1 });
    const profile = new Profile({}, {});
    const fds = [0, 1].map(() => kernel.socket(AF_INET, SOCK_STREAM, 0));
    assert.equal(reactor.takeDescriptor(fds[0], profile, AF_INET), true);
    assert.equal(reactor.takeDescriptor(fds[1], profile, AF_INET), false);
    assert.equal(kernel.close(fds[1]), 0);
    reactor.closeAll();
    reactor.abortAll();
    await rig.until(() => reactor.connectionCount === 0);
    const late = kernel.socket(AF_INET, SOCK_STREAM, 0);
    assert.equal(reactor.takeDescriptor(late, profile, AF_INET), false);
    assert.equal(kernel.close(late), 0);
  });
});

describe('an idle reactor', () => {
  it('does not wake up, with any number of connections', async () => {
    open();
    for (let i = 0; i < 5; i += 1) {
      await rig.connect();
    }
    await rig.pass(10_000);
    const { doorbells, alarms, deferred } = rig.world.counters;
    await rig.pass(1_000_000);
    assert.deepEqual(
      [rig.world.counters.doorbells, rig.world.counters.alarms, rig.world.counters.deferred],
      [doorbells, alarms, deferred],
    );
  });
});

describe('the end', () => {
  it('whenEmpty() resolves when the last connection is closed, at once if there is none', async () => {
    const { reactor } = open();
    await reactor.whenEmpty();
    const { connection } = await rig.connect();
    let isEmpty = false;
    void reactor.whenEmpty().then(() => {
      isEmpty = true;
    });
    await rig.pass(10);
    assert.equal(isEmpty, false);
    connection.abort();
    await rig.until(() => isEmpty);
    assert.equal(reactor.connectionCount, 0);
  });

  it('destroy() is once, calls no hook, and counts blocks that were kept', async () => {
    const events: string[] = [];
    const { reactor } = open({
      ...hookNotes(events),
      onData: undefined as never,
      onReadable: () => {},
    });
    const { connection, peer } = await rig.connect();
    peer.send('kept');
    await rig.until(() => connection.reader.length === 4);
    const slice = connection.reader.slice(4)!;
    assert.equal(reactor.destroy(), 1);
    assert.equal(reactor.destroy(), 0);
    assert.deepEqual(events, ['open']);
    assert.equal(slice.next(4)?.toString(), 'kept');
    slice.release();
    const used = rig;
    used.free();
    open();
  });

  it('a handler that is none makes no reactor', () => {
    open();
    assert.throws(() => SimRig.open({ onData: 5 } as unknown as Handler), TypeError);
  });
});
