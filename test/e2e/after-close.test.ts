/**
 * After the close event: every call is idempotent and has its defined result, no callback follows, and the event itself
 * comes exactly once, wherever the close came from.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Connection, type Handler, type Server, serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { callEverything, type Report } from '../support/engine-handlers/closed-calls.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/closed-calls.js', import.meta.url);

/** What each call gives on a closed connection; what is not named gives undefined. */
const ON_CLOSED = {
  state: 'closed',
  write: 'closed',
  writeNothing: 'closed',
  writev: 'closed',
  writevNothing: 'closed',
  writeOwned: 'closed',
  queuedBytes: 0,
  readerLength: 0,
  readerSkip: false,
  writerFlush: 'closed',
  isPaused: false,
  setTimer: -1,
  writeById: 'closed',
  stateAfter: 'closed',
};

/** How a connection is closed, and what must have been noted up to the close event. */
const WAYS: readonly { word: string; before: string[]; reason: string }[] = [
  { word: 'close', before: ['open', 'data close'], reason: 'closed' },
  { word: 'action', before: ['open', 'data action'], reason: 'closed' },
  { word: 'abort', before: ['open', 'data abort'], reason: 'aborted' },
  { word: 'end', before: ['open', 'data end', 'end'], reason: 'ended' },
  { word: 'idle', before: ['open', 'data idle'], reason: 'idle' },
  { word: 'throw', before: ['open', 'data throw'], reason: 'handler' },
  { word: 'peer ends', before: ['open', 'data peer ends', 'end'], reason: 'ended' },
  { word: 'peer resets', before: ['open', 'data peer resets'], reason: 'reset' },
];

async function withServer(
  handler: Handler | URL,
  reactors: number,
  body: (server: Server, url: string) => Promise<void>,
): Promise<void> {
  const server = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler,
    reactors,
    onWarning: () => {},
  });
  try {
    await body(server, server.addresses[0]!);
  } finally {
    await server.close({ deadlineMs: 0 });
  }
}

async function reportOf(server: Server): Promise<Report> {
  const reports = (await server.executeAll('report')) as Report[];
  return reports.find(({ events }) => events.length > 0) ?? reports[0]!;
}

function checkCalls(results: Record<string, unknown>): void {
  for (const [name, result] of Object.entries(results)) {
    // The connection is still found while its close is reported, if the reactor so wishes.
    if (name !== 'find') {
      assert.equal(result, (ON_CLOSED as Record<string, unknown>)[name], name);
    }
  }
}

async function runWay(url: string, word: string): Promise<void> {
  const peer = await RawPeer.connect(url);
  peer.send(word);
  if (word === 'peer resets') {
    await peer.read(word.length);
    peer.reset();
  } else {
    if (word === 'peer ends') {
      await peer.read(word.length);
      peer.end();
    }
    const { end } = await peer.readToEnd();
    const isReset = ['abort', 'idle', 'throw'].includes(word);
    assert.equal(end, isReset ? 'ECONNRESET' : 'end');
    peer.close();
  }
}

for (const reactors of [1, 3]) {
  describe(`after close, ${reactors} reactor(s)`, () => {
    for (const { word, before, reason } of WAYS) {
      it(`calls have defined results and nothing follows: ${word}`, async () => {
        await withServer(MODULE, reactors, async (server, url) => {
          await runWay(url, word);
          let report = await reportOf(server);
          await awaitCondition(async () => {
            report = await reportOf(server);
            return report.results.length === 2;
          }, 'both rounds of calls');
          // Time for a callback that should not come.
          await server.executeAll('report');
          report = await reportOf(server);
          const { events, results, reasons } = report;
          assert.deepEqual(reasons, [reason]);
          assert.deepEqual(events.slice(0, before.length + 1), [...before, 'close']);
          for (const result of results) {
            checkCalls(result);
          }
          assert.deepEqual(
            events.slice(before.length + 1).sort(),
            ['drained', 'receipt']
              .flatMap((name) => [`${name} false`, `${name} false`])
              .concat(['iterated true', 'iterated true'])
              .sort(),
          );
        });
      });
    }
  });
}

describe('after close, the slot used again', () => {
  it('what was taken from a closed connection in onClose does not reach the next one', async () => {
    const seen: Connection[] = [];
    const answers: unknown[] = [];
    const handler: Handler = {
      onData(connection, bytes) {
        if (bytes.toString() === 'use') {
          connection.writer.writeString('written');
          answers.push(connection.writer.flush(), connection.reader === seen[0]!.reader);
        }
      },
      onClose(connection) {
        seen.push(connection);
        callEverything(connection, []);
      },
    };
    await withServer(handler, 1, async (_server, url) => {
      const first = await RawPeer.connect(url);
      first.close();
      await awaitCondition(() => seen.length === 1, 'the close of the first');
      const second = await RawPeer.connect(url);
      second.send('use');
      assert.equal((await second.read(7)).toString(), 'written');
      // By the driver: handed to the kernel at once, or with the turn's submissions.
      assert.ok(answers[0] === 'sent' || answers[0] === 'queued', String(answers[0]));
      assert.deepEqual(answers.slice(1), [false]);
      second.close();
    });
  });

  it('the old id and the old object stay closed while the slot is in use', async () => {
    const opened: Connection[] = [];
    const handler: Handler = {
      onOpen: (connection) => void opened.push(connection),
      onData: (connection, bytes) => void connection.write(bytes),
    };
    await withServer(handler, 1, async (server, url) => {
      const first = await RawPeer.connect(url);
      first.close();
      await awaitCondition(() => opened[0]?.state === 'closed', 'the close of the first');
      const second = await RawPeer.connect(url);
      await awaitCondition(() => opened.length === 2, 'the second');
      const [old, current] = opened as [Connection, Connection];
      assert.equal(old.id % 2 ** 21, current.id % 2 ** 21, 'the slot is used again');
      assert.notEqual(old.id, current.id);
      callEverything(old, []);
      assert.equal(server.write(old.id, Buffer.from('stray')), 'closed');
      assert.equal(current.state, 'open');
      assert.equal(old.reactor.find(old.id), undefined);
      assert.equal(old.reactor.find(current.id), current);
      second.send('ping');
      assert.equal((await second.read(4)).toString(), 'ping');
      second.close();
    });
  });

  it('a timer of a closed connection does not fire, nor does the clearing of it touch another', async () => {
    const fired: string[] = [];
    const timers: number[] = [];
    const opened: Connection[] = [];
    const handler: Handler = {
      onOpen(connection) {
        opened.push(connection);
        timers.push(
          connection.setTimer(opened.length === 1 ? 3 : 6, () => fired.push(`${opened.length}`)),
        );
        if (opened.length === 1) {
          connection.abort();
        }
      },
    };
    await withServer(handler, 1, async (_server, url) => {
      const first = await RawPeer.connect(url);
      await awaitCondition(() => opened[0]?.state === 'closed', 'the abort');
      const second = await RawPeer.connect(url);
      await awaitCondition(() => opened.length === 2, 'the second');
      opened[1]!.clearTimer(timers[0]!);
      await awaitCondition(() => fired.length > 0, 'the timer of the second');
      await rounds(20);
      assert.deepEqual(fired, ['2']);
      first.close();
      second.close();
    });
  });
});

type Hook = 'onOpen' | 'onData' | 'onDrain' | 'onEnd' | 'onClose' | 'timer';
type Closing = 'close' | 'abort' | 'end' | 'action';

/** A handler that closes in one hook, in one way, twice. */
function closingHandler(hook: Hook, closing: Closing, events: string[]): Handler {
  const run = (name: Hook, connection: Connection) => {
    events.push(name);
    if (name !== hook) {
      return undefined;
    }
    if (closing === 'action') {
      return 'close' as const;
    }
    connection[closing]();
    connection[closing]();
    return undefined;
  };
  return {
    onOpen: (connection) => run('onOpen', connection),
    onData(connection) {
      connection.setTimer(0, () => void run('timer', connection));
      if (hook === 'onDrain') {
        connection.cork();
        connection.write(Buffer.alloc(2_000));
        connection.uncork();
      }
      return run('onData', connection);
    },
    onDrain: (connection) => run('onDrain', connection),
    onEnd: (connection) => run('onEnd', connection),
    onClose: (connection) => run('onClose', connection),
  };
}

describe('close in every hook', () => {
  const hooks: Hook[] = ['onOpen', 'onData', 'onDrain', 'onEnd', 'onClose', 'timer'];
  for (const hook of hooks) {
    for (const closing of ['close', 'abort', 'end', 'action'] as const) {
      it(`${closing} in ${hook} closes exactly once`, async () => {
        const events: string[] = [];
        const server = await serve({
          listen: 'tcp://127.0.0.1:0',
          handler: closingHandler(hook, closing, events),
          highWaterMark: 1_000,
          lowWaterMark: 1_000,
        });
        const peer = await RawPeer.connect(server.addresses[0]!);
        peer.send('data');
        const isLate =
          hook === 'onEnd' || hook === 'onClose' || (hook === 'timer' && closing === 'action');
        if (isLate) {
          await awaitCondition(() => events.includes('timer'), 'the timer');
          peer.end();
        }
        await peer.readToEnd();
        peer.close();
        await awaitCondition(() => events.includes('onClose'), 'the close event');
        await rounds(20);
        assert.equal(events.filter((event) => event === 'onClose').length, 1);
        assert.equal(events.at(-1), 'onClose');
        assert.ok(events.includes(hook), `${hook} was called`);
        await server.close();
        assert.equal(server.stats.totals.closed, 1);
      });
    }
  }
});
