/** The simulated descriptor table: numbers, limits, and what counts as a bug of the code under test. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EBADF, EMFILE, ENFILE, ENOTSOCK } from '../../src/base/errno.js';
import { AF_INET, AF_UNIX, SOCK_STREAM } from '../../src/base/linux.js';
import type { SimKernel } from './sim-kernel.js';
import { SimWorld } from './sim-world.js';

function world(): SimWorld {
  return new SimWorld({ seed: 1, shape: 'plain' });
}

function socket(kernel: SimKernel): number {
  return kernel.socket(AF_INET, SOCK_STREAM, 0);
}

describe('simulated descriptors', () => {
  test('the lowest free number is given out first, from 3', () => {
    const kernel = world().kernel('a');
    const numbers = [socket(kernel), kernel.eventfd(), kernel.epollCreate(), kernel.reserve()];
    assert.deepEqual(numbers, [3, 4, 5, 6]);
    kernel.close(4);
    kernel.close(3);
    assert.deepEqual([socket(kernel), socket(kernel), socket(kernel)], [3, 4, 7]);
  });

  test('all threads share the numbers', () => {
    const one = world();
    const a = one.kernel('a');
    const b = one.kernel('b');
    assert.deepEqual([socket(a), socket(b)], [3, 4]);
    assert.equal(b.close(3), 0);
    assert.equal(socket(a), 3);
    assert.deepEqual(one.violations.take(), []);
  });

  test('use and close after close are answered with EBADF and noted', () => {
    const one = world();
    const kernel = one.kernel('reactor 1');
    const fd = socket(kernel);
    kernel.close(fd);
    assert.equal(kernel.close(fd), -EBADF);
    assert.equal(kernel.send(fd, Buffer.from('x')), -EBADF);
    assert.equal(kernel.listen(99, 1), -EBADF);
    const noted = one.violations.messages.join('\n');
    assert.match(noted, /reactor 1: close of descriptor 3, which was closed by reactor 1/);
    assert.match(noted, /send of descriptor 3/);
    assert.match(noted, /listen of descriptor 99, which was never open/);
    assert.throws(() => one.step(), /descriptor 3/);
  });

  test('a call for another kind of descriptor is noted', () => {
    const one = world();
    const kernel = one.kernel('a');
    assert.equal(kernel.accept(kernel.eventfd()), -ENOTSOCK);
    assert.match(one.violations.take().join(), /accept of descriptor 3, a eventfd/);
  });

  test('a full table gives EMFILE and a full system ENFILE', () => {
    const small = new SimWorld({ seed: 1, shape: { base: 'plain', descriptorLimit: 5 } });
    const kernel = small.kernel('a');
    assert.equal(kernel.descriptorLimit(), 5);
    assert.deepEqual([socket(kernel), socket(kernel), socket(kernel)], [3, 4, -EMFILE]);
    assert.equal(kernel.duplicate(3), -EMFILE);
    kernel.close(3);
    assert.equal(socket(kernel), 3);
    const full = new SimWorld({ seed: 1, shape: { base: 'plain', systemLimit: 1 } }).kernel('b');
    assert.deepEqual([socket(full), socket(full)], [3, -ENFILE]);
  });

  test('a full table leaves the connection in the backlog', () => {
    const small = new SimWorld({ seed: 1, shape: { base: 'plain', descriptorLimit: 5 } });
    const kernel = small.kernel('a');
    const listener = kernel.socket(AF_UNIX, SOCK_STREAM, 0);
    kernel.bind(listener, Buffer.from('\x01\0\0name', 'latin1'));
    kernel.listen(listener, 1);
    const spare = kernel.eventfd();
    assert.equal(spare, 4);
    small.peer().connect('unix-abstract://name');
    assert.equal(kernel.accept(listener), -EMFILE);
    kernel.close(spare);
    assert.equal(kernel.accept(listener), spare);
  });

  test('a duplicate keeps the connection open', () => {
    const one = world();
    const kernel = one.kernel('a');
    const listener = one.listener('unix:///tmp/server');
    const fd = kernel.socket(AF_UNIX, SOCK_STREAM, 0);
    assert.equal(kernel.connect(fd, Buffer.from('\x01\0/tmp/server\0', 'latin1')), 0);
    const copy = kernel.duplicate(fd);
    assert.equal(kernel.adopt(copy), 0);
    kernel.close(fd);
    one.runSync({ until: () => false });
    assert.equal(listener.peers[0]?.hasEnded, false);
    assert.equal(kernel.send(copy, Buffer.from('still here')), 10);
    kernel.close(copy);
    one.runSync({ until: () => false });
    assert.equal(listener.peers[0]?.received().toString(), 'still here');
    assert.equal(listener.peers[0]?.hasEnded, true);
    one.finish();
  });

  test('creations and closes are written to the registry', () => {
    const owners = new Map<number, number>();
    const registry = {
      set: (fd: number, owner: number) => void owners.set(fd, owner),
      clear: (fd: number) => void owners.delete(fd),
    };
    const kernel = world().kernel('a', { registry, owner: 7 });
    const fd = socket(kernel);
    kernel.duplicate(fd);
    kernel.eventfd();
    assert.deepEqual(
      [...owners],
      [
        [3, 7],
        [4, 7],
        [5, 7],
      ],
    );
    kernel.close(4);
    assert.deepEqual([...owners.keys()], [3, 5]);
  });

  test('a dead thread leaves its descriptors open and may call nothing', () => {
    const one = world();
    const kernel = one.kernel('a');
    const fd = socket(kernel);
    kernel.defer(() => assert.fail('ran after its death'));
    kernel.kill();
    assert.equal(one.step(), false);
    assert.equal(one.table.count, 1);
    assert.equal(one.kernel('supervisor').close(fd), 0);
    kernel.eventfd();
    assert.match(one.violations.take().join(), /after the thread's death/);
  });

  test('leaks are reported', () => {
    const one = world();
    one.kernel('a').eventfd();
    assert.throws(() => one.finish(), /leaked descriptors: 3: eventfd/);
  });
});
