/** The bridge to libc: declared once, with addresses that mean what they say. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { EBADF, ENOENT } from '../../src/base/errno.js';
import {
  addressOf,
  declareFunctions,
  errno,
  loadLibc,
  registerCallback,
  viewMemory,
} from '../../src/base/ffi.js';

const libc = loadLibc();

it('loadLibc() declares the functions once for each thread', async () => {
  assert.equal(loadLibc(), libc);
  const url = JSON.stringify(new URL('../../src/base/ffi.js', import.meta.url).href);
  const code = `import(${url}).then(({ loadLibc, errno }) => {
    const libc = loadLibc();
    libc.close(-1);
    require('node:worker_threads').parentPort.postMessage([libc === loadLibc(), errno()]);
  });`;
  libc.epoll_ctl(libc.epoll_create1(0), 3, 0, 0);
  const worker = new Worker(code, { eval: true });
  const answer = await new Promise((resolve) => worker.once('message', resolve));
  assert.deepEqual(answer, [true, EBADF]);
});

it('errno() is that of the call before', () => {
  assert.equal(libc.close(-1), -1);
  assert.equal(errno(), EBADF);
  const epfd = libc.epoll_create1(0);
  const event = libc.calloc(1, 16);
  const stray = libc.eventfd(0, 0);
  assert.equal(libc.epoll_ctl(epfd, 3, stray, event), -1);
  assert.equal(errno(), ENOENT);
  libc.free(event);
  assert.deepEqual([libc.close(stray), libc.close(epfd)], [0, 0]);
});

it('addressOf() is the address of the first byte of the view, of all kinds of arrays', () => {
  const buffers = [
    Buffer.from('0123456789'),
    new Uint8Array(Buffer.from('0123456789')),
    new Uint8Array(new ArrayBuffer(100)).fill(7),
    new Uint8Array(new SharedArrayBuffer(100)).fill(8),
  ];
  for (const bytes of buffers) {
    for (const start of [0, 3]) {
      const view = bytes.subarray(start, start + 4);
      const copy = new Uint8Array(4);
      libc.memcpyOut(copy, addressOf(view), 4);
      assert.deepEqual([...copy], [...view]);
    }
  }
});

it('viewMemory() sees and changes the memory itself', () => {
  const address = libc.calloc(1, 8);
  const view = new Uint8Array(viewMemory(address, 8));
  libc.memcpyIn(address, Buffer.from('memory'), 6);
  assert.equal(Buffer.from(view).toString('latin1'), 'memory\0\0');
  view[0] = 0x4d;
  const copy = new Uint8Array(1);
  libc.memcpyOut(copy, address, 1);
  assert.equal(copy[0], 0x4d);
  libc.free(address);
});

it('lengths and addresses above 32 bits arrive whole', () => {
  assert.equal(libc.calloc(1, 2 ** 52), 0);
  const address = libc.calloc(1, 2 ** 20);
  assert.ok(Number.isSafeInteger(address) && address > 0);
  libc.free(address);
});

it('declareFunctions() gives functions of the program, and throws for what is not there', () => {
  const { strlen } = declareFunctions(null, { strlen: 'size_t strlen(uintptr_t)' });
  const text = Buffer.from('four\0');
  assert.equal(strlen(addressOf(text)), 4);
  assert.throws(() => declareFunctions(null, { none: 'int millrace_no_such_function()' }));
});

it('registerCallback() is called from C, as often as C wants', () => {
  const { qsort } = declareFunctions(null, {
    qsort: 'void qsort(uintptr_t, size_t, size_t, uintptr_t)',
  });
  const words = new Int32Array([5, 1, 4, 2, 3]);
  let calls = 0;
  const compare = registerCallback(
    'int millrace_test_compare(uintptr_t, uintptr_t)',
    (a: number, b: number) => {
      calls += 1;
      const [left] = new Int32Array(viewMemory(a, 4));
      const [right] = new Int32Array(viewMemory(b, 4));
      return left - right;
    },
  );
  qsort(addressOf(new Uint8Array(words.buffer)), words.length, 4, compare);
  assert.deepEqual([...words], [1, 2, 3, 4, 5]);
  assert.ok(calls >= 4);
});
