/** Which writes of a connection go out together: counted by the sends that the kernel was asked for. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import { LinuxRig } from '../support/reactor-rig.js';

let rig: LinuxRig;

afterEach(async () => {
  assert.equal(await rig.close(), 0, 'blocks were kept');
});

const sends = () => rig.stats.snapshot(0).sends;

/** Sends one byte to a handler, and answers how many sends it took until the peer had `expected`. */
async function sendsFor(handler: Handler, expected: string): Promise<number> {
  rig = LinuxRig.open(handler);
  const { peer } = await rig.connect();
  peer.send('?');
  assert.equal((await peer.read(expected.length)).toString(), expected);
  return sends();
}

describe('writes of one hook', () => {
  it('are two sends: the first at once, the rest together', async () => {
    const results: string[] = [];
    const onData = (connection: Connection) => {
      for (const text of ['a', 'b', 'c', 'd']) {
        results.push(connection.write(text));
      }
    };
    assert.equal(await sendsFor({ onData }, 'abcd'), 2);
    assert.deepEqual(results, ['sent', 'queued', 'queued', 'queued']);
  });

  it('are two sends whatever calls they come by', async () => {
    const onData = (connection: Connection) => {
      connection.writev([Buffer.from('a'), Buffer.from('b')]);
      connection.writeOwned(Buffer.alloc(3_000, 'c'));
      connection.writev([Buffer.from('d')]);
      connection.writer.writeString('e');
      connection.writer.flush();
      connection.write('f');
    };
    assert.equal(await sendsFor({ onData }, `ab${'c'.repeat(3_000)}def`), 2);
  });

  it('go out with the FIN when the hook ends the connection', async () => {
    const onData = (connection: Connection) => {
      connection.write('a');
      connection.write('b');
      connection.write('c');
      connection.end();
    };
    rig = LinuxRig.open({ onData });
    const { peer } = await rig.connect();
    peer.send('?');
    const { bytes, end } = await peer.readToEnd();
    assert.deepEqual([bytes.toString(), end, sends()], ['abc', 'end', 2]);
  });

  it('to another connection are sent one by one', async () => {
    let sink: Connection | undefined;
    rig = LinuxRig.open({
      onData: () => {
        sink!.write('a');
        sink!.write('b');
      },
    });
    const source = await rig.connect();
    const target = await rig.connect();
    sink = target.connection;
    source.peer.send('?');
    assert.equal((await target.peer.read(2)).toString(), 'ab');
    assert.equal(sends(), 2);
  });
});

describe('cork', () => {
  it('gathers until the outermost uncork', async () => {
    rig = LinuxRig.open({});
    const { peer, connection } = await rig.connect();
    connection.cork();
    assert.equal(connection.write('a'), 'queued');
    connection.cork();
    connection.writev([Buffer.from('b')]);
    connection.uncork();
    connection.writeOwned(Buffer.from('c'));
    assert.deepEqual([sends(), connection.queuedBytes], [0, 3]);
    connection.uncork();
    assert.deepEqual([sends(), connection.queuedBytes], [1, 0]);
    connection.uncork();
    assert.equal(connection.write('d'), 'sent');
    assert.equal((await peer.read(4)).toString(), 'abcd');
  });

  it('holds beyond a hook, and ends with the connection', async () => {
    rig = LinuxRig.open({
      onData(connection) {
        connection.cork();
        connection.write('a');
        connection.write('b');
      },
    });
    const { peer, connection } = await rig.connect();
    peer.send('?');
    const other = await rig.connect();
    other.connection.write('.');
    await other.peer.read(1);
    assert.deepEqual([connection.queuedBytes, peer.receive()], [2, undefined]);
    connection.end();
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('ab'), end: 'end' });
  });
});

describe('onBeforeWrite', () => {
  it('comes once a turn before all writes of it, and what it writes goes with them', async () => {
    const events: string[] = [];
    rig = LinuxRig.open({
      onData(connection) {
        events.push(`data, ${connection.write('a')}, ${connection.write('b')}`);
      },
      onBeforeWrite(connection) {
        events.push(`before write, ${sends()} sends, ${connection.queuedBytes} queued`);
        connection.write('!');
      },
    });
    const { peer } = await rig.connect();
    peer.send('?');
    assert.equal((await peer.read(3)).toString(), 'ab!');
    assert.deepEqual(events, ['data, queued, queued', 'before write, 0 sends, 2 queued']);
    assert.equal(sends(), 1);
  });

  it('comes before writes from outside of hooks, and before the FIN', async () => {
    const events: string[] = [];
    rig = LinuxRig.open({ onBeforeWrite: () => void events.push(`before write, ${sends()}`) });
    const { peer, connection } = await rig.connect();
    assert.equal(connection.write('a'), 'queued');
    connection.writev([Buffer.from('b')]);
    connection.end();
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.from('ab'), end: 'end' });
    assert.deepEqual(events, ['before write, 0']);
  });

  it('that throws costs the connection, and nothing is sent', async () => {
    rig = LinuxRig.open({
      onBeforeWrite() {
        throw new Error('no');
      },
    });
    const { peer, connection } = await rig.connect();
    connection.write('a');
    assert.deepEqual(await peer.readToEnd(), { bytes: Buffer.alloc(0), end: 'ECONNRESET' });
    assert.deepEqual(rig.warnings.map(String), ['Error: no']);
  });
});
