/** The real kernel apart from its sockets: memory, files, clock, chance and the process. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { EACCES, EINVAL, EISDIR, ENOENT, ENOTDIR, EPERM } from '../../src/base/errno.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { RegionRegistry } from '../../src/base/region-registry.js';

const kernel = new LinuxKernel();
const folder = mkdtempSync(join(tmpdir(), 'millrace-kernel-'));

after(() => rmSync(folder, { recursive: true }));

/** Runs the body of a function that sees a kernel, in a thread of its own. */
async function inThread(body: string): Promise<unknown> {
  const url = JSON.stringify(new URL('../../src/base/linux-kernel.js', import.meta.url).href);
  const code = `const { readFileSync } = require('node:fs');
    const { parentPort } = require('node:worker_threads');
    const work = (kernel) => { ${body} };
    import(${url}).then(({ LinuxKernel }) => parentPort.postMessage(work(new LinuxKernel())));`;
  const worker = new Worker(code, { eval: true });
  try {
    const [answer] = await once(worker, 'message');
    return answer;
  } finally {
    await worker.terminate();
  }
}

describe('regions', () => {
  it('are zeroed, aligned for any structure, and seen by their address', () => {
    const region = kernel.allocate(10_000);
    assert.equal(region.bytes.byteLength, 10_000);
    assert.ok(region.bytes.equals(Buffer.alloc(10_000)));
    assert.equal(region.address % 16, 0);
    assert.equal(kernel.addressOf(region.bytes), region.address);
    assert.equal(kernel.addressOf(region.bytes.subarray(7)), region.address + 7);
    kernel.release(region);
  });

  it('of impossible sizes are refused', () => {
    for (const byteLength of [0, -1, 0.5, Number.NaN, 2 ** 30 + 1, 2 ** 40]) {
      assert.throws(() => kernel.allocate(byteLength), RangeError);
    }
  });

  it('can be discarded in whole pages: what lies around stays as it was', () => {
    const region = kernel.allocate(20_000);
    region.bytes.fill(1);
    const first = 4_096 - (region.address % 4_096);
    // Too small for a page, and a range that begins and ends inside of pages.
    kernel.discard({ address: region.address, bytes: region.bytes.subarray(0, 100) });
    kernel.discard({
      address: region.address + first - 1,
      bytes: region.bytes.subarray(first - 1, first + 4_097),
    });
    const ones = region.bytes.filter((byte) => byte === 1).byteLength;
    assert.equal(ones, 20_000 - 4_096);
    assert.equal(region.bytes.indexOf(0), first);
    region.bytes.fill(2);
    kernel.release(region);
  });

  it('are noted where a supervisor finds them, until they are released', () => {
    const regions = RegionRegistry.create();
    const noting = new LinuxKernel({ regions });
    const first = noting.allocate(64);
    const second = noting.allocate(64);
    noting.release(first);
    const left = RegionRegistry.from(regions.buffer).takeAll();
    // The scratch memory of the thread is noted too.
    assert.equal(left.length, 2);
    assert.ok(left.includes(second.address) && !left.includes(first.address));
    noting.release(second);
  });
});

describe('blocks', () => {
  it('take and give exactly the bytes of the view', () => {
    const address = kernel.allocateBlock(16);
    const whole = Buffer.from('--0123456789abcdef--');
    kernel.copyIn(address, whole.subarray(2, 18));
    const target = Buffer.alloc(12, '*');
    kernel.copyOut(target.subarray(2, 10), address + 4);
    assert.equal(target.toString(), '**456789ab**');
    kernel.copyIn(address, Buffer.alloc(0));
    kernel.copyOut(Buffer.alloc(0), address);
    kernel.releaseBlock(address);
    kernel.releaseBlock(0);
  });

  it('that no memory is left for have the address 0', () => {
    assert.equal(kernel.allocateBlock(2 ** 52), 0);
  });
});

describe('files', () => {
  it('are told apart from sockets, and a link to a socket is a link', async () => {
    const path = join(folder, 'socket');
    const server = createServer().listen(path);
    await new Promise((resolve) => server.once('listening', resolve));
    symlinkSync(path, join(folder, 'link'));
    writeFileSync(join(folder, 'file'), '');
    const kinds = ['socket', 'link', 'file', 'none'].map((name) =>
      kernel.isSocketFile(join(folder, name)),
    );
    assert.deepEqual(kinds, [1, 0, 0, -ENOENT]);
    assert.equal(kernel.changeMode(path, 0o640), 0);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    server.close();
  });

  it('are removed, or the answer is -errno', () => {
    const path = join(folder, 'gone');
    writeFileSync(path, '');
    assert.deepEqual([kernel.unlink(path), kernel.unlink(path)], [0, -ENOENT]);
    assert.ok([-EISDIR, -EPERM, -EACCES].includes(kernel.unlink(folder)));
    assert.equal(kernel.changeMode(path, 0o600), -ENOENT);
    writeFileSync(path, '');
    assert.equal(kernel.isSocketFile(join(path, 'below')), -ENOTDIR);
  });
});

describe('now', () => {
  it('never goes back, has a fraction, and is the same on another thread', async () => {
    let last = kernel.now();
    let fractions = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const now = kernel.now();
      assert.ok(now >= last);
      fractions += now % 1 === 0 ? 0 : 1;
      last = now;
    }
    assert.ok(fractions > 0);
    const before = kernel.now();
    const there = (await inThread('return kernel.now();')) as number;
    assert.ok(before <= there && there <= kernel.now(), `${before}, ${there}`);
  });
});

describe('random', () => {
  it('gives unsigned integers of 32 bits, more than one batch, without repeating itself', () => {
    const seen = new Set<number>();
    let low = 0xffff_ffff;
    let high = 0;
    for (let i = 0; i < 2_000; i += 1) {
      const n = kernel.random();
      assert.ok(Number.isInteger(n) && n >= 0 && n <= 0xffff_ffff);
      seen.add(n);
      low = Math.min(low, n);
      high = Math.max(high, n);
    }
    // Of 2,000 draws from 2^32, one repetition has a chance of 1 in 2,000; five have practically none.
    assert.ok(seen.size > 1_995);
    assert.ok(low < 0x1000_0000 && high > 0xf000_0000);
  });
});

describe('the process', () => {
  it('has the descriptor limit that /proc tells', () => {
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const soft = limits.match(/^Max open files\s+(\w+)/m)![1];
    const expected = soft === 'unlimited' ? 0x7fff_ffff : Number(soft);
    assert.equal(kernel.descriptorLimit(), Math.min(expected, 0xffff_ffff));
  });

  it('can pin a thread to a CPU that it may use, and to no other', async () => {
    const {
      before,
      answers,
      thrown,
      after: pinned,
    } = (await inThread(`
      const status = () => readFileSync('/proc/thread-self/status', 'latin1');
      const allowed = () => status().match(/^Cpus_allowed_list:\\s+(.*)$/m)[1];
      const before = allowed();
      const answers = [kernel.pinThread(Number.parseInt(before, 10)), kernel.pinThread(1_023)];
      let thrown = 0;
      for (const wrong of [-1, 1_024, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        try {
          kernel.pinThread(wrong);
        } catch (error) {
          thrown += error instanceof RangeError ? 1 : 0;
        }
      }
      return { before, answers, thrown, after: allowed() };
    `)) as { before: string; answers: number[]; thrown: number; after: string };
    assert.deepEqual(answers, [0, -EINVAL]);
    assert.equal(thrown, 5);
    assert.equal(pinned, String(Number.parseInt(before, 10)));
  });
});
