/** The closing of a reactor: who is still busy may dial, and what was dialed ends after the last of them. */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import type { Connection, Handler } from '../../src/api.js';
import type { MillraceError } from '../../src/errors.js';
import type { SimWorldOptions } from '../sim/sim-world.js';
import { SimRig } from '../support/reactor-rig.js';

const UPSTREAM = 'tcp://127.0.0.1:7000';
/** Ends its connections when the test says so. */
const PATIENT: Handler = { onServerClose() {} };

let rig: SimRig;

function open(handler: Handler, world?: Partial<SimWorldOptions>) {
  rig = SimRig.open(handler, {}, world);
  return rig.reactor;
}

afterEach(() => rig.close());

function whenEmpty(): () => boolean {
  let isEmpty = false;
  void rig.reactor.whenEmpty().then(() => {
    isEmpty = true;
  });
  return () => isEmpty;
}

describe('while connections end in good order', () => {
  it('dials succeed, and what was dialed is told when the last of the earlier ones is gone', async () => {
    const reactor = open(PATIENT);
    const upstream = rig.world.listener(UPSTREAM);
    const { peer, connection } = await rig.connect();
    const events: string[] = [];
    reactor.closeAll();
    const isEmpty = whenEmpty();
    let dialed: Connection | undefined;
    const handler: Handler = {
      onServerClose(late) {
        events.push('told');
        late.write('goodbye');
        late.close();
      },
      onData: (_late, bytes) => void events.push(`data ${bytes}`),
      onClose: (_late, { code }) => void events.push(`close ${code}`),
    };
    void reactor.dial(UPSTREAM, { handler }).then((made) => {
      dialed = made;
    });
    await rig.until(() => dialed !== undefined && upstream.peers.length === 1);
    upstream.peers[0].send('answer');
    await rig.until(() => events.length === 1);
    await rig.pass(1_000);
    assert.deepEqual(events, ['data answer']);
    assert.ok(!isEmpty());
    connection.close();
    peer.end();
    await rig.until(() => events.length === 2);
    await rig.until(() => upstream.peers[0].received().toString() === 'goodbye');
    upstream.peers[0].end();
    await rig.until(isEmpty);
    assert.deepEqual(events.slice(0, 2), ['data answer', 'told']);
    await assert.rejects(reactor.dial(UPSTREAM), { code: 'ERR_CLOSED' });
    upstream.close();
  });

  it('a dial that was pending goes on, and fails when nobody is left for whom it may be', async () => {
    const reactor = open(PATIENT, { faults: { connectLost: 1 } });
    const { connection } = await rig.connect();
    const codes: string[] = [];
    const note = (error: MillraceError) => codes.push(error.code);
    reactor.dial(UPSTREAM, { connectTimeoutMs: 0 }).catch(note);
    await rig.pass(5);
    reactor.closeAll();
    const isEmpty = whenEmpty();
    await rig.pass(100);
    assert.deepEqual(codes, []);
    connection.abort();
    await rig.until(isEmpty);
    assert.deepEqual(codes, ['ERR_CLOSED']);
  });

  it('dials that are pending fail at the deadline', async () => {
    const reactor = open(PATIENT, { faults: { connectLost: 1 } });
    await rig.connect();
    const codes: string[] = [];
    const note = (error: MillraceError) => codes.push(error.code);
    reactor.closeAll();
    reactor.dial(UPSTREAM, { connectTimeoutMs: 0 }).catch(note);
    await rig.pass(5);
    reactor.abortAll();
    reactor.dial(UPSTREAM).catch(note);
    await rig.until(whenEmpty());
    assert.deepEqual(codes, ['ERR_CLOSED', 'ERR_CLOSED']);
  });

  it('who dials anew at each close comes to an end', async () => {
    const reactor = open(PATIENT);
    const upstream = rig.world.listener(UPSTREAM);
    const { peer, connection } = await rig.connect();
    let closes = 0;
    let refusals = 0;
    const again = () => {
      reactor.dial(UPSTREAM, { handler }).catch(({ code }: MillraceError) => {
        assert.equal(code, 'ERR_CLOSED');
        refusals += 1;
      });
    };
    const handler: Handler = {
      onClose() {
        closes += 1;
        again();
      },
    };
    again();
    again();
    await rig.until(() => upstream.peers.length === 2);
    reactor.closeAll();
    const isEmpty = whenEmpty();
    for (const other of upstream.peers) {
      other.end();
    }
    await rig.until(() => closes === 2 && upstream.peers.length === 4);
    connection.close();
    peer.end();
    await rig.pass(100);
    for (const other of upstream.peers.slice(2)) {
      other.end();
    }
    await rig.until(isEmpty);
    assert.deepEqual([closes, refusals], [4, 2]);
    upstream.close();
  });
});
