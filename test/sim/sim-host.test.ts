/** The simulated host loop and clock: what runs, when, and what counts as a wake-up. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EPOLL_CTL_ADD, EPOLLIN } from '../../src/base/linux.js';
import { SimWorld } from './sim-world.js';

function world(seed = 1): SimWorld {
  return new SimWorld({ seed, shape: 'plain' });
}

describe('simulated host loop', () => {
  test('deferred callbacks of a thread run in order, one a step', () => {
    const one = world();
    const kernel = one.kernel('a');
    const order: number[] = [];
    for (let i = 0; i < 3; i++) kernel.defer(() => order.push(i));
    kernel.defer(() => kernel.defer(() => order.push(9)));
    assert.deepEqual(order, []);
    while (one.step());
    assert.deepEqual(order, [0, 1, 2, 9]);
    assert.equal(one.counters.deferred, 5);
  });

  test('threads interleave differently for each seed and equally for the same', () => {
    const orders = [1, 1, 2, 3].map((seed) => {
      const one = world(seed);
      let order = '';
      for (const name of ['a', 'b', 'c']) {
        const kernel = one.kernel(name);
        for (let i = 0; i < 5; i++) kernel.defer(() => (order += name));
      }
      while (one.step());
      return order;
    });
    assert.equal(orders[0], orders[1]);
    assert.equal(new Set(orders).size, 3);
  });

  test('a doorbell rings as long as its descriptor is readable', () => {
    const one = world();
    const kernel = one.kernel('a');
    const eventfd = kernel.eventfd();
    let rings = 0;
    const doorbell = kernel.doorbell(eventfd, () => {
      rings++;
      if (rings === 3) kernel.drain(eventfd);
    });
    assert.equal(one.step(), false);
    kernel.signal(eventfd);
    while (one.step());
    assert.equal(rings, 3);
    assert.equal(one.counters.doorbells, 3);
    doorbell.stop();
    kernel.signal(eventfd);
    assert.equal(one.step(), false);
    doorbell.start();
    rings = 2;
    assert.equal(one.step(), true);
    doorbell.close();
    doorbell.close();
    kernel.signal(eventfd);
    assert.equal(one.step(), false);
  });

  test('an epoll descriptor rings when something registered is ready', () => {
    const one = world();
    const kernel = one.kernel('a');
    const epfd = kernel.epollCreate();
    const eventfd = kernel.eventfd();
    kernel.epollControl(epfd, EPOLL_CTL_ADD, eventfd, EPOLLIN, 0, 0);
    let rings = 0;
    kernel.doorbell(epfd, () => {
      rings++;
      kernel.drain(eventfd);
    });
    assert.equal(one.step(), false);
    kernel.signal(eventfd);
    while (one.step());
    assert.equal(rings, 1);
  });

  test('closing a descriptor under its doorbell is a violation', () => {
    const one = world();
    const kernel = one.kernel('a');
    const eventfd = kernel.eventfd();
    kernel.doorbell(eventfd, () => {});
    kernel.close(eventfd);
    assert.throws(() => one.step(), /closed under its doorbell/);
  });

  test('time jumps to the next alarm when nothing else can run', () => {
    const one = world();
    const kernel = one.kernel('a');
    const start = kernel.now();
    const alarm = kernel.alarm(() => {});
    alarm.set(99.2);
    assert.equal(one.step(), true);
    assert.equal(kernel.now(), start + 100);
    assert.equal(one.counters.alarms, 1);
    assert.equal(one.step(), false);
    alarm.set(5);
    alarm.set(10);
    alarm.clear();
    assert.equal(one.step(), false);
    assert.equal(kernel.now(), start + 100);
  });

  test('an alarm can be set again in its own callback', () => {
    const one = world();
    const kernel = one.kernel('a');
    const start = kernel.now();
    let left = 3;
    const alarm = kernel.alarm(() => {
      if (--left > 0) alarm.set(0);
    });
    alarm.set(0);
    while (one.step());
    assert.equal(kernel.now(), start + 3);
  });

  test('what keeps the process alive', () => {
    const one = world();
    const kernel = one.kernel('a');
    assert.equal(one.isAlive, false);
    const alarm = kernel.alarm(() => {});
    alarm.set(5);
    assert.equal(one.isAlive, false);
    alarm.ref();
    assert.equal(one.isAlive, true);
    alarm.unref();
    const doorbell = kernel.doorbell(kernel.eventfd(), () => {});
    assert.equal(one.isAlive, true);
    doorbell.unref();
    assert.equal(one.isAlive, false);
    kernel.defer(() => {});
    assert.equal(one.isAlive, true);
  });

  test('run lets promises go on after each step', async () => {
    const one = world();
    const kernel = one.kernel('a');
    let done = false;
    const turn = (): Promise<void> => new Promise((resolve) => kernel.defer(resolve));
    const work = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) await turn();
      await new Promise<void>((resolve) => kernel.alarm(resolve).set(1000));
      done = true;
    };
    void work();
    assert.equal(await one.run({ until: () => done }), true);
    assert.equal(await one.run({ until: () => false }), false);
    assert.equal(one.counters.deferred, 10);
  });

  test('run gives up after the most steps', async () => {
    const one = world();
    const kernel = one.kernel('a');
    const again = (): void => kernel.defer(again);
    again();
    assert.equal(await one.run({ until: () => false, maxSteps: 50 }), false);
    assert.equal(one.counters.steps, 50);
    assert.equal(one.runSync({ until: () => one.counters.steps === 60, maxSteps: 50 }), true);
  });

  test('an action of the test runs at its time', () => {
    const one = world();
    const start = one.now;
    one.later(250, () => assert.equal(one.now, start + 250));
    assert.equal(one.step(), true);
  });

  test('random numbers differ between threads and repeat with the seed', () => {
    const draw = (): number[] => {
      const one = world(5);
      return [one.kernel('a').random(), one.kernel('b').random()];
    };
    assert.deepEqual(draw(), draw());
    assert.notEqual(draw()[0], draw()[1]);
  });
});
