/** Order, bounds, fairness, and what becomes of tasks whose connection, time or pool is gone. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { WorkQueue, type WorkQueueOptions } from '../../src/work/index.js';
import { ManualConnection, ManualPool, ManualReactor } from './manual-pool.js';

function rig(options: WorkQueueOptions = {}) {
  const pool = new ManualPool();
  const reactor = new ManualReactor();
  const queue = new WorkQueue<string, string>(pool, options);
  const answers: string[] = [];
  const connect = (name: string) => new ManualConnection(reactor, name);
  const submit = (connection: ManualConnection, task: string, signal?: AbortSignal) =>
    queue.submit(
      connection,
      task,
      ({ name }, { error, value }) => {
        answers.push(
          `${name} ${error === undefined ? value : ((error as NodeJS.ErrnoException).code ?? error.message)}`,
        );
      },
      signal === undefined ? {} : { signal },
    );
  return { pool, reactor, queue, answers, connect, submit };
}

describe('answers', () => {
  it('come in the order of the tasks, whichever is ready first', async () => {
    const { pool, reactor, answers, connect, submit, queue } = rig();
    const [a, b] = [connect('a'), connect('b')];
    assert.equal(submit(a, '1'), 'queued');
    submit(a, '2');
    await pool.end(1);
    reactor.turn();
    assert.deepEqual(answers, []);
    submit(b, '3');
    await pool.end(1);
    reactor.turn();
    assert.deepEqual(answers, ['b 3!']);
    await pool.end(0);
    reactor.turn();
    assert.deepEqual(answers, ['b 3!', 'a 1!', 'a 2!']);
    assert.deepEqual(queue.stats, {
      waiting: 0,
      running: 0,
      submitted: 3,
      answered: 3,
      failed: 0,
      timedOut: 0,
      aborted: 0,
      dropped: 0,
      refused: 0,
      pauses: 0,
    });
    assert.equal(reactor.timerCount, 0);
  });

  it('are in order for any order of ends, and for any that close in between', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('submit' as const), who: fc.nat({ max: 3 }) }),
      fc.record({ kind: fc.constant('end' as const), who: fc.nat({ max: 3 }) }),
      fc.record({ kind: fc.constant('fail' as const), who: fc.nat({ max: 3 }) }),
      fc.record({ kind: fc.constant('turn' as const), who: fc.constant(0) }),
      fc.record({ kind: fc.constant('close' as const), who: fc.nat({ max: 30 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.constantFrom('refuse', 'pause'),
        async (steps, whenFull) => {
          const { pool, reactor, answers, connect, submit, queue } = rig({
            runningMax: 3,
            waitingMax: 6,
            connectionMax: 4,
            whenFull: whenFull as 'pause',
          });
          const all = ['a', 'b', 'c', 'd'].map(connect);
          const taken = new Map<string, number[]>(all.map(({ name }) => [name, []]));
          let next = 0;
          for (const { kind, who } of steps) {
            const connection = all[who % 4]!;
            if (kind === 'submit' && submit(connection, String(next)) === 'queued') {
              taken.get(connection.name)!.push(next);
              next += 1;
            } else if ((kind === 'end' || kind === 'fail') && pool.jobs.length > 0) {
              const at = who % pool.jobs.length;
              await pool.end(
                at,
                kind === 'fail' ? new Error(`${pool.jobs[at]!.task}!`) : undefined,
              );
            } else if (kind === 'turn') {
              reactor.turn();
            } else if (kind === 'close' && who < 4) {
              connection.state = 'closed';
              queue.forget(connection);
            }
            assert.ok(queue.stats.waiting <= 6 + (whenFull === 'pause' ? 4 : 0));
            assert.ok(pool.jobs.length <= 3);
          }
          while (pool.jobs.length > 0) {
            await pool.end();
            reactor.turn();
          }
          reactor.turn();
          for (const { name, state, isPaused } of all) {
            const expected = taken.get(name)!.map((n) => `${name} ${n}!`);
            const got = answers.filter((each) => each.startsWith(name));
            // Those that closed got a beginning of it.
            assert.deepEqual(got, state === 'open' ? expected : expected.slice(0, got.length));
            assert.ok(state === 'closed' || !isPaused);
          }
          const { waiting, running, submitted, answered, dropped } = queue.stats;
          assert.deepEqual([waiting, running, submitted], [0, 0, answered + dropped]);
          assert.equal(reactor.timerCount, 0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('that are errors come in their place', async () => {
    const { pool, reactor, answers, connect, submit, queue } = rig();
    const a = connect('a');
    submit(a, '1');
    submit(a, '2');
    await pool.end(0, new Error('pool'));
    await pool.end(0, 'a string');
    reactor.turn();
    assert.deepEqual(answers, ['a pool', 'a a string']);
    assert.equal(queue.stats.failed, 2);
  });

  it('whose callback throws cost the connection, and nobody else', async () => {
    const { pool, reactor, queue, connect, answers, submit } = rig();
    const [a, b] = [connect('a'), connect('b')];
    queue.submit(a, '1', () => {
      throw new Error('mine');
    });
    submit(b, '2');
    await pool.end();
    await pool.end();
    reactor.turn();
    assert.equal(a.state, 'closed');
    assert.deepEqual(answers, ['b 2!']);
    assert.deepEqual(reactor.thrown.map(String), ['Error: mine']);
  });

  it('of a pool that throws are errors, too', () => {
    const { reactor, connect } = rig();
    const queue = new WorkQueue<string, string>({
      run() {
        throw new Error('broken');
      },
    });
    let told = '';
    queue.submit(connect('a'), 'x', (_connection, { error }) => {
      told = error?.message ?? '';
    });
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      reactor.turn();
      assert.equal(told, 'broken');
    });
  });
});

describe('limits', () => {
  it('the pool gets as many as it has threads, and the connections get turns', async () => {
    const { pool, connect, submit } = rig({ connectionMax: 100 });
    const [greedy, modest] = [connect('a'), connect('b')];
    for (let i = 0; i < 50; i += 1) {
      submit(greedy, `a${i}`);
    }
    submit(modest, 'b0');
    assert.deepEqual(pool.started, ['a0', 'a1']);
    await pool.end();
    await pool.end();
    // The second turn is the modest one's, not the 51st.
    assert.deepEqual(pool.started, ['a0', 'a1', 'a2', 'b0']);
    assert.equal(pool.maxAtOnce, 2);
  });

  it('beyond them a task is refused', () => {
    const { connect, submit, queue } = rig({ connectionMax: 3, waitingMax: 4 });
    const [a, b, c] = [connect('a'), connect('b'), connect('c')];
    assert.deepEqual(
      ['1', '2', '3', '4'].map((n) => submit(a, n)),
      ['queued', 'queued', 'queued', 'full'],
    );
    assert.deepEqual(
      ['1', '2', '3'].map((n) => submit(b, n)),
      ['queued', 'queued', 'queued'],
    );
    assert.equal(submit(c, '1'), 'full');
    assert.equal(queue.stats.waiting, 4);
    assert.equal(queue.stats.refused, 2);
    // What closed makes room.
    b.state = 'closed';
    b.reactor.now = 1;
    assert.equal(submit(c, '1'), 'queued');
  });

  it('or its connection is paused until half of its tasks are answered', async () => {
    const { pool, reactor, connect, submit, queue, answers } = rig({
      connectionMax: 4,
      whenFull: 'pause',
    });
    const a = connect('a');
    for (const n of ['1', '2', '3']) submit(a, n);
    assert.equal(a.isPaused, false);
    assert.equal(submit(a, '4'), 'queued');
    assert.equal(a.isPaused, true);
    assert.equal(submit(a, '5'), 'full');
    await pool.end();
    reactor.turn();
    assert.equal(a.isPaused, true);
    await pool.end();
    reactor.turn();
    assert.equal(a.isPaused, false);
    assert.equal(answers.length, 2);
    assert.equal(queue.stats.pauses, 1);
  });

  it('a pause of the user is left alone', async () => {
    const { pool, reactor, connect, submit } = rig({ connectionMax: 1, whenFull: 'pause' });
    const a = connect('a');
    a.pause();
    submit(a, '1');
    await pool.end();
    reactor.turn();
    assert.equal(a.isPaused, true);
    assert.equal(a.pauses, 1);
  });

  it('wrong ones are told of', () => {
    assert.throws(() => new WorkQueue({} as never), TypeError);
    assert.throws(() => rig({ runningMax: 0 }), RangeError);
    assert.throws(() => rig({ waitingMax: 1.5 }), RangeError);
    assert.throws(() => rig({ timeoutMs: -1 }), RangeError);
    assert.throws(() => rig({ whenFull: 'drop' as 'pause' }), TypeError);
    const { queue, connect } = rig();
    assert.throws(() => queue.submit(connect('a'), 'x', undefined as never), TypeError);
  });
});

describe('tasks that are not wanted any more', () => {
  it('time out, waiting or running, and the others go on', async () => {
    const { pool, reactor, answers, connect, submit, queue } = rig({ timeoutMs: 100 });
    const a = connect('a');
    for (const n of ['1', '2', '3']) submit(a, n);
    reactor.turn(50);
    submit(a, '4');
    reactor.turn(60);
    assert.deepEqual(answers, ['a ERR_WORK_TIMEOUT', 'a ERR_WORK_TIMEOUT', 'a ERR_WORK_TIMEOUT']);
    assert.deepEqual(
      pool.jobs.map(({ signal }) => signal?.aborted),
      [true, true],
    );
    // Threads that take no notice are busy still.
    assert.deepEqual(pool.started, ['1', '2']);
    await pool.end();
    assert.deepEqual(pool.started, ['1', '2', '4']);
    await pool.end(1);
    reactor.turn();
    assert.equal(answers.at(-1), 'a 4!');
    await pool.end();
    reactor.turn();
    assert.equal(answers.length, 4);
    assert.equal(queue.stats.timedOut, 3);
  });

  it('are aborted by a signal: before, waiting and running', async () => {
    const { pool, reactor, answers, connect, submit, queue } = rig({ runningMax: 1 });
    const a = connect('a');
    const controllers = [new AbortController(), new AbortController()];
    submit(a, '1', controllers[0]!.signal);
    submit(a, '2', controllers[1]!.signal);
    submit(a, '3', AbortSignal.abort('why not'));
    submit(a, '4');
    controllers[1]!.abort(new Error('second'));
    controllers[0]!.abort(new Error('first'));
    reactor.turn();
    assert.deepEqual(answers, ['a first', 'a second', 'a ERR_WORK_ABORTED']);
    assert.equal(pool.jobs[0]!.signal!.aborted, true);
    await pool.end(0, new Error('aborted'));
    await pool.end();
    reactor.turn();
    assert.deepEqual(pool.started, ['1', '4']);
    assert.equal(answers.at(-1), 'a 4!');
    assert.equal(queue.stats.aborted, 3);
  });

  it('are dropped with their connection; those that run are left to end, or aborted', async () => {
    for (const abortRunning of [false, true]) {
      const { pool, reactor, answers, connect, submit, queue } = rig({
        abortRunning,
        timeoutMs: 0,
        runningMax: 1,
      });
      const [a, b] = [connect('a'), connect('b')];
      submit(a, '1');
      submit(a, '2');
      submit(b, '3');
      a.state = 'closed';
      queue.forget(a);
      assert.equal(pool.jobs[0]!.signal?.aborted, abortRunning ? true : undefined);
      await pool.end();
      await pool.end();
      reactor.turn();
      assert.deepEqual(pool.started, ['1', '3']);
      assert.deepEqual(answers, ['b 3!']);
      assert.equal(queue.stats.dropped, 2);
      assert.equal(submit(a, '4'), 'closed');
    }
  });

  it('are dropped without forget, too, when their turn comes', async () => {
    const { pool, reactor, connect, submit, queue } = rig({ runningMax: 1 });
    const a = connect('a');
    submit(a, '1');
    submit(a, '2');
    a.state = 'closing';
    await pool.end();
    reactor.turn();
    assert.deepEqual(pool.started, ['1']);
    assert.equal(queue.stats.dropped, 2);
    assert.equal(reactor.timerCount, 0);
  });

  it('are answered by close, which waits for those that run', async () => {
    const { pool, reactor, answers, connect, submit, queue } = rig({ runningMax: 1 });
    const a = connect('a');
    submit(a, '1');
    submit(a, '2');
    let isClosed = false;
    const closed = queue.close().then(() => {
      isClosed = true;
    });
    assert.equal(submit(a, '3'), 'closed');
    reactor.turn();
    assert.equal(isClosed, false);
    await pool.end();
    await closed;
    reactor.turn();
    assert.deepEqual(answers, ['a 1!', 'a ERR_WORK_CLOSED']);
    await queue[Symbol.asyncDispose]();
  });
});
