/** The hooks into the host's loop: doorbells, alarms and deferred calls, and that promises work in what they call. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { EAGAIN } from '../../src/base/errno.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { descriptorCounts } from '../support/open-descriptors.js';

const kernel = new LinuxKernel();
const bell = kernel.eventfd();

after(() => kernel.close(bell));

const pass = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Runs a module that has a kernel; answers its output. It ends when nothing keeps it. */
function run(body: string): string {
  const url = new URL('../../src/base/linux-kernel.js', import.meta.url).href;
  const source = `import { LinuxKernel } from ${JSON.stringify(url)};
    const kernel = new LinuxKernel();
    ${body}`;
  const end = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(end.status, 0, `${end.signal} ${end.stderr}`);
  return end.stdout.trim();
}

/** Whether a doorbell, made by that expression, holds the process as `ref` and `unref` say. */
function checkReferences(create: string): void {
  const body = (setup: string) => `
    const fd = kernel.eventfd();
    const doorbell = ${create};
    ${setup}
    let isLate = false;
    setTimeout(() => { isLate = true; doorbell.close(); }, 20).unref();
    process.on('exit', () => console.log(isLate ? 'held' : 'ended'));`;
  assert.equal(run(body('')), 'held');
  assert.equal(run(body('doorbell.unref();')), 'ended');
  assert.equal(run(body('doorbell.unref(); doorbell.ref();')), 'held');
  assert.equal(run(body('doorbell.unref(); doorbell.stop(); doorbell.start();')), 'ended');
}

describe('a doorbell', () => {
  it('rings again and again while its descriptor is readable', async () => {
    let rings = 0;
    const doorbell = kernel.doorbell(bell, () => {
      rings += 1;
      if (rings === 3) {
        kernel.drain(bell);
      }
    });
    await rounds(5);
    assert.equal(rings, 0);
    kernel.signal(bell);
    await awaitCondition(() => rings === 3, 'three rings');
    await rounds(5);
    assert.equal(rings, 3);
    doorbell.close();
  });

  it('is silent between stop and start, which may both be called twice', async () => {
    let rings = 0;
    const doorbell = kernel.doorbell(bell, () => {
      rings += 1;
      doorbell.stop();
      doorbell.stop();
    });
    kernel.signal(bell);
    await awaitCondition(() => rings === 1, 'a ring');
    await rounds(10);
    assert.equal(rings, 1);
    doorbell.start();
    doorbell.start();
    await awaitCondition(() => rings === 2, 'another ring');
    doorbell.close();
    kernel.drain(bell);
  });

  it('is silent after the close, even one from inside its call', async () => {
    let rings = 0;
    const doorbell = kernel.doorbell(bell, () => {
      rings += 1;
      doorbell.close();
    });
    kernel.signal(bell);
    await awaitCondition(() => rings === 1, 'a ring');
    await rounds(10);
    assert.equal(rings, 1);
    assert.equal(kernel.drain(bell), 8);
    const stopped = kernel.doorbell(bell, () => {
      rings += 1;
    });
    stopped.stop();
    stopped.close();
    kernel.signal(bell);
    await rounds(10);
    assert.deepEqual([rings, kernel.drain(bell), kernel.drain(bell)], [1, 8, -EAGAIN]);
  });

  it('that is closed takes every call and does nothing', () => {
    const output = run(`
      const doorbell = kernel.doorbell(kernel.eventfd(), () => {});
      doorbell.close();
      for (const call of ['stop', 'start', 'ref', 'unref', 'close', 'stop', 'start']) doorbell[call]();
      console.log('alive');`);
    assert.equal(output, 'alive');
  });

  it('that asks for a deferred call has its promises kept, though nothing else happens', () => {
    const output = run(`
      const fd = kernel.eventfd();
      const doorbell = kernel.doorbell(fd, () => {
        kernel.drain(fd);
        doorbell.stop();
        kernel.defer(async () => {
          await undefined;
          await new Promise((resolve) => queueMicrotask(resolve));
          doorbell.close();
          console.log('kept');
        });
      });
      kernel.signal(fd);`);
    assert.equal(output, 'kept');
  });

  it('keeps the process alive unless it is told not to', () => {
    checkReferences('kernel.doorbell(fd, () => {})');
  });
});

describe('a doorbell of signals', () => {
  const signals = [kernel.eventfd(), kernel.eventfd()] as const;

  after(() => {
    for (const signal of signals) kernel.close(signal);
  });

  it('rings once for what was signalled since it rang last, and has read it', async () => {
    const rings: boolean[] = [];
    const doorbell = kernel.doorbell(bell, (isDrained) => rings.push(isDrained), signals);
    await rounds(5);
    assert.deepEqual(rings, []);
    for (const [i, signal] of [...signals, ...signals].entries()) {
      kernel.signal(signal);
      kernel.signal(signal);
      await awaitCondition(() => rings.length > i, 'a ring');
      await rounds(5);
      assert.equal(rings.length, i + 1);
      assert.equal(kernel.drain(signal), -EAGAIN);
    }
    assert.ok(rings.every((isDrained) => isDrained));
    doorbell.close();
  });

  it('keeps signals between stop and start, and those after its close, for whoever reads them', async () => {
    let rings = 0;
    const doorbell = kernel.doorbell(
      bell,
      () => {
        rings += 1;
        doorbell.stop();
        doorbell.stop();
      },
      signals,
    );
    kernel.signal(signals[0]);
    await awaitCondition(() => rings === 1, 'a ring');
    kernel.signal(signals[0]);
    kernel.signal(signals[1]);
    await rounds(10);
    assert.equal(rings, 1);
    doorbell.start();
    doorbell.start();
    await awaitCondition(() => rings >= 2, 'another ring');
    doorbell.close();
    doorbell.close();
    for (const call of ['stop', 'start', 'ref', 'unref'] as const) doorbell[call]();
    for (const signal of signals) kernel.drain(signal);
    kernel.signal(signals[1]);
    const before = rings;
    await rounds(10);
    assert.deepEqual([rings, kernel.drain(signals[1])], [before, 8]);
  });

  it('may be closed from inside its call', async () => {
    let rings = 0;
    const doorbell = kernel.doorbell(
      bell,
      () => {
        rings += 1;
        doorbell.close();
      },
      signals,
    );
    kernel.signal(signals[0]);
    await awaitCondition(() => rings === 1, 'a ring');
    kernel.signal(signals[0]);
    await rounds(10);
    assert.deepEqual([rings, kernel.drain(signals[0])], [1, 8]);
  });

  it('has the promises of its call kept before it rings again', async () => {
    const notes: string[] = [];
    const doorbell = kernel.doorbell(
      bell,
      () => {
        notes.push('ring');
        void Promise.resolve().then(() => notes.push('promise'));
        process.nextTick(() => notes.push('tick'));
        if (notes.length < 6) kernel.signal(signals[0]);
      },
      signals,
    );
    kernel.signal(signals[0]);
    await awaitCondition(() => notes.length === 9, 'three rings');
    const each = ['ring', 'tick', 'promise'];
    assert.deepEqual(notes, [...each, ...each, ...each]);
    doorbell.close();
  });

  it('passes an exception on as an uncaught one, and rings again', () => {
    const output = run(`
      const fd = kernel.eventfd();
      let rings = 0;
      process.on('uncaughtException', ({ message }) => {
        console.log(message);
        kernel.signal(fd);
      });
      const doorbell = kernel.doorbell(fd, () => {
        rings += 1;
        if (rings === 1) throw new Error('thrown');
        console.log('again');
        doorbell.close();
      }, [fd]);
      kernel.signal(fd);`);
    assert.equal(output, 'thrown\nagain');
  });

  it('keeps the process alive unless it is told not to', () => {
    checkReferences('kernel.doorbell(fd, () => {}, [fd])');
  });

  it('leaves nothing open', async () => {
    const before = descriptorCounts();
    const doorbell = kernel.doorbell(bell, () => {}, signals);
    await rounds(2);
    doorbell.close();
    await awaitCondition(() => isDeepStrictEqual(descriptorCounts(), before), 'all to be closed');
  });
});

describe('the descriptor of a doorbell', () => {
  it('stays the caller’s: it may be closed first, and nothing is left open', async () => {
    const before = descriptorCounts();
    const fd = kernel.eventfd();
    const doorbell = kernel.doorbell(fd, () => {});
    await rounds(2);
    kernel.close(fd);
    doorbell.close();
    await awaitCondition(() => isDeepStrictEqual(descriptorCounts(), before), 'all to be closed');
  });
});

describe('an alarm', () => {
  it('rings once, not before its time', async () => {
    const start = kernel.now();
    const times: number[] = [];
    const alarm = kernel.alarm(() => times.push(kernel.now() - start));
    alarm.ref();
    alarm.set(4.2);
    await awaitCondition(() => times.length > 0, 'the alarm');
    await pass(15);
    // Node counts from the start of the loop's round: up to 1 ms early is possible, and the caller's business.
    assert.ok(times.length === 1 && times[0] >= 4, String(times));
  });

  it('that is set again rings for the last setting alone, earlier or later', async () => {
    let rings = 0;
    const alarm = kernel.alarm(() => {
      rings += 1;
    });
    alarm.set(100_000);
    alarm.set(1);
    await awaitCondition(() => rings === 1, 'the alarm');
    alarm.set(1);
    alarm.set(100_000);
    await pass(10);
    assert.equal(rings, 1);
    alarm.clear();
    alarm.clear();
  });

  it('can be set from inside its call, and cleared', async () => {
    let rings = 0;
    const alarm = kernel.alarm(() => {
      rings += 1;
      if (rings < 3) {
        alarm.set(0);
      }
    });
    alarm.set(0);
    await awaitCondition(() => rings === 3, 'three rings');
    alarm.set(0);
    alarm.clear();
    await pass(10);
    assert.equal(rings, 3);
  });

  it('takes any delay without a warning: the longest that Node has, at the most', () => {
    const output = run(`
      process.on('warning', (warning) => console.log(warning.name));
      const alarm = kernel.alarm(() => console.log('rang'));
      alarm.ref();
      for (const delay of [2 ** 31, 2 ** 40, Number.MAX_VALUE]) alarm.set(delay);
      setTimeout(() => alarm.clear(), 20);`);
    assert.equal(output, '');
  });

  it('keeps the process alive only after ref, in any order with set', () => {
    const body = (setup: string) => `
      const alarm = kernel.alarm(() => console.log('rang'));
      ${setup}`;
    assert.equal(run(body('alarm.set(5);')), '');
    assert.equal(run(body('alarm.set(5); alarm.ref();')), 'rang');
    assert.equal(run(body('alarm.ref(); alarm.set(5);')), 'rang');
    assert.equal(run(body('alarm.ref(); alarm.set(5); alarm.unref();')), '');
  });
});

describe('callbacks', () => {
  it('see promise jobs of the one before them run', async () => {
    const notes: string[] = [];
    const note = (name: string) => () => {
      notes.push(name);
      void Promise.resolve().then(() => notes.push(`${name}'s promise`));
    };
    kernel.defer(note('first'));
    kernel.defer(note('second'));
    await awaitCondition(() => notes.length === 4, 'the calls');
    const alarms = ['third', 'fourth'].map((name) => kernel.alarm(note(name)));
    for (const alarm of alarms) {
      alarm.set(0);
    }
    await awaitCondition(() => notes.length === 8, 'the alarms');
    const names = ['first', 'second', 'third', 'fourth'];
    assert.deepEqual(
      notes,
      names.flatMap((name) => [name, `${name}'s promise`]),
    );
  });
});
