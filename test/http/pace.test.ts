/**
 * Deadlines and rates, in virtual time: a slow peer is cut off when it is said, one that is just fast enough is not.
 */

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { type HttpHandler, type HttpOptions, httpHandler } from '../../src/http/http-handler.js';
import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import type { SimPeer } from '../sim/sim-peer.js';
import { SimRig } from '../support/reactor-rig.js';

let rig: SimRig | undefined;
let handler: HttpHandler;
let exchanges: { request: HttpRequest; response: HttpResponse }[];

function open(options: Partial<HttpOptions> = {}): SimRig {
  exchanges = [];
  handler = httpHandler({
    onRequest: (request, response) => void exchanges.push({ request, response }),
    wallClock: () => 0,
    ...options,
  });
  rig = SimRig.open(handler, { writeTimeoutMs: 0, lingerTimeoutMs: 1_000 });
  return rig;
}

afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const textOf = (peer: SimPeer) => peer.received().toString('latin1');

describe('a peer that is slow', () => {
  it('with its head gets 408 at the deadline, counted from its first byte', async () => {
    const { pass, connect, until } = bound(open({ headTimeoutMs: 10_000 }));
    const { peer } = await connect();
    await pass(30_000);
    peer.send('GET / HTTP/1.1\r\n');
    for (let i = 0; i < 8; i += 1) {
      await pass(1_000);
      peer.send(`X-${i}: y\r\n`);
    }
    assert.equal(textOf(peer), '');
    await pass(4_000);
    assert.match(textOf(peer), /^HTTP\/1\.1 408 .*\r\n/);
    await until(() => peer.isOver);
    assert.equal(handler.httpStats.rejects['head-timeout'], 1);
  });

  it('is not blamed for one that went before it', async () => {
    const { pass, connect } = bound(open({ headTimeoutMs: 10_000 }));
    const { peer } = await connect();
    peer.send('GET / HTTP');
    await pass(5_000);
    peer.reset();
    await pass(20_000);
    const { peer: next } = await connect();
    next.send('GET / HTTP');
    await pass(9_000);
    assert.equal(textOf(next), '');
    await pass(3_000);
    assert.match(textOf(next), /^HTTP\/1\.1 408 /);
  });

  it('with the head of a later request too', async () => {
    const { pass, connect } = bound(open({ onRequest: (_, response) => response.end() }));
    const { peer } = await connect();
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET');
    await pass(12_000);
    assert.match(textOf(peer), /^HTTP\/1\.1 200 OK\r\n(.+\r\n)+\r\nHTTP\/1\.1 408 /);
  });

  it('that sends nothing is closed when it was idle for long enough', async () => {
    const { pass, connect, until } = bound(
      open({ idleTimeoutMs: 5_000, onRequest: (_, response) => response.end() }),
    );
    const { peer } = await connect();
    const { peer: other } = await connect();
    await pass(3_000);
    other.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await pass(3_500);
    assert.ok(peer.hasEnded);
    assert.ok(!other.hasEnded);
    await until(() => other.isOver);
    assert.equal(handler.httpStats.idleTimeouts, 2);
  });

  it('that waits for its response is not idle', async () => {
    const { pass, connect } = bound(open({ idleTimeoutMs: 5_000 }));
    const { peer } = await connect();
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await pass(60_000);
    exchanges[0]!.response.end('at last');
    await pass(100);
    assert.match(textOf(peer), /at last$/);
  });

  it('with its body, below the rate, gets 408 after the time of grace', async () => {
    const { pass, connect } = bound(open({ rateMin: 1_024, rateGraceMs: 10_000 }));
    const { peer } = await connect();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
    await pass(1);
    const body = exchanges[0]!.request.bytes(1e6);
    const failed = assert.rejects(body, { code: 'ERR_HTTP_GONE' });
    for (let i = 0; i < 9; i += 1) {
      peer.send('x'.repeat(100));
      await pass(1_000);
    }
    assert.equal(textOf(peer), '');
    await pass(4_000);
    assert.match(textOf(peer), /^HTTP\/1\.1 408 /);
    await failed;
  });

  it('with its body, above the rate, is served; and made to wait, it is not blamed', async () => {
    const { pass, connect } = bound(open({ rateMin: 1_000, rateGraceMs: 2_000 }));
    const { peer } = await connect();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n');
    await pass(60_000);
    const { request, response } = exchanges[0]!;
    const body = request.bytes(1e6);
    for (let i = 0; i < 20; i += 1) {
      peer.send('x'.repeat(1_500));
      await pass(1_000);
    }
    response.end(String((await body).byteLength));
    await pass(100);
    assert.match(textOf(peer), /30000$/);
  });

  it('with its body gets 408 at the absolute deadline, whatever its rate', async () => {
    const { pass, connect } = bound(open({ bodyTimeoutMs: 20_000 }));
    const { peer } = await connect();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    await pass(1);
    const failed = assert.rejects(exchanges[0]!.request.bytes(1e6));
    for (let i = 0; i < 22; i += 1) {
      peer.send('x'.repeat(20_000));
      await pass(1_000);
    }
    assert.match(textOf(peer), /^HTTP\/1\.1 408 /);
    await failed;
  });

  it('with what nobody wants of its body is closed', async () => {
    const { pass, connect, until } = bound(
      open({ drainTimeoutMs: 5_000, onRequest: (_, response) => response.end('early') }),
    );
    const { peer } = await connect();
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n');
    await pass(4_000);
    assert.match(textOf(peer), /early$/);
    assert.ok(!peer.hasEnded);
    await until(() => peer.isOver);
    assert.equal(handler.httpStats.undrained, 1);
  });

  it('in taking its response is reset below the rate', async () => {
    const { pass, connect, until } = bound(open({ rateMin: 10_000, rateGraceMs: 5_000 }));
    const { peer } = await connect({ readMax: 10, isReadingStopped: true });
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await pass(1);
    exchanges[0]!.response.end(Buffer.alloc(8_000_000));
    await pass(4_000);
    assert.equal(handler.httpStats.connections, 1);
    await until(() => handler.httpStats.connections === 0);
    assert.equal(handler.httpStats.slowReaders, 1);
    assert.ok(!peer.hasEnded);
  });
});

describe('timers', () => {
  it('none runs while there is no connection', async () => {
    const { connect, until } = bound(open({ onRequest: (_, response) => response.end() }));
    const { peer } = await connect();
    peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => peer.isOver);
    await until(() => handler.httpStats.connections === 0);
    // What is left to do comes to an end: a timer that came again and again would not.
    assert.equal(await rig!.world.run({ until: () => false }), false);
  });
});

function bound(simRig: SimRig) {
  return {
    pass: (milliseconds: number) => simRig.pass(milliseconds),
    connect: (habits?: Parameters<SimRig['connect']>[0]) => simRig.connect(habits),
    until: (condition: () => boolean) => simRig.until(condition),
  };
}
