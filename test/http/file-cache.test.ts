/** Files that are kept for a moment, as clients see them: when they change, vanish, and lead elsewhere. */

import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import * as zlib from 'node:zlib';

import type { Reactor } from '../../src/api.js';
import type { Coding } from '../../src/http/accept-encoding.js';
import { FileCache } from '../../src/http/file-cache.js';
import { openFile } from '../../src/http/file-source.js';
import { type StaticOptions, staticFiles } from '../../src/http/static-files.js';
import { openDescriptors } from '../support/open-descriptors.js';
import { pauseFor, until } from '../support/until.js';
import { get, type HttpClient, HttpRig } from './rig.js';

/** Far longer than any test takes, and so short that it has passed after a pause. */
const LONG = 3_600_000;
const SHORT = 20;

const SMALL = 'small '.repeat(100);
const LARGE = 'large '.repeat(50_000);
let folder: string;
let root: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cache-'));
});
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  root = mkdtempSync(join(folder, 'root-'));
  writeFileSync(join(root, 'small.txt'), SMALL);
  writeFileSync(join(root, 'large.txt'), LARGE);
  writeFileSync(join(folder, 'secret'), 'secret');
});

async function open(options: StaticOptions): Promise<{ rig: HttpRig; client: HttpClient }> {
  const serveFile = await staticFiles(root, options);
  const rig = await HttpRig.open({
    onRequest: (request, response) => serveFile(request, response),
  });
  return { rig, client: await rig.connect() };
}

async function ask(client: HttpClient, path: string, ...fields: string[]) {
  await client.send(get(path, ...fields));
  return client.answer();
}

const opened = () => [...openDescriptors().values()].filter((path) => path.startsWith(root));

describe('files that are kept', () => {
  it('are the same: whole, in parts, not modified, HEAD, several at once', async () => {
    for (const cacheMs of [LONG, 0]) {
      for (const sendFile of [true, false]) {
        const { client } = await open({ cacheMs, sendFile, maxAgeSeconds: 5 });
        for (const [path, body] of [
          ['/small.txt', SMALL],
          ['/large.txt', LARGE],
        ] as const) {
          const first = await ask(client, path);
          for (let i = 0; i < 3; i += 1) {
            const again = await ask(client, path);
            assert.ok(again.body === body);
            assert.deepEqual([...again.fields.keys()], [...first.fields.keys()]);
            assert.equal(again.fields.get('etag'), first.fields.get('etag'));
            assert.equal(again.fields.get('content-type'), 'text/plain; charset=utf-8');
          }
          const part = await ask(client, path, 'Range: bytes=6-10');
          assert.deepEqual([part.status, part.body], [206, body.slice(6, 11)]);
          const parts = await ask(client, path, 'Range: bytes=0-1,300-301');
          assert.match(parts.body, /content-range: bytes 300-301/i);
          const etag = first.fields.get('etag')!;
          assert.equal((await ask(client, path, `If-None-Match: ${etag}`)).status, 304);
          await client.send(get(path).replace('GET', 'HEAD'));
          const head = await client.answer(true);
          assert.equal(head.fields.get('content-length'), String(body.length));
          await client.send(get(path).repeat(10));
          for (let i = 0; i < 10; i += 1) {
            assert.ok((await client.answer()).body === body);
          }
        }
      }
    }
  });

  it('are not looked up again before their time, and then they are', async () => {
    const { client } = await open({ cacheMs: LONG });
    await ask(client, '/small.txt');
    await ask(client, '/large.txt');
    unlinkSync(join(root, 'small.txt'));
    assert.equal((await ask(client, '/small.txt')).status, 200);
    // Of an open file it can be told at once.
    unlinkSync(join(root, 'large.txt'));
    assert.equal((await ask(client, '/large.txt')).status, 404);
    const other = (await open({ cacheMs: SHORT })).client;
    writeFileSync(join(root, 'small.txt'), 'one');
    assert.equal((await ask(other, '/small.txt')).body, 'one');
    writeFileSync(join(root, 'small.txt'), 'other');
    await pauseFor(SHORT + 5);
    assert.equal((await ask(other, '/small.txt')).body, 'other');
    unlinkSync(join(root, 'small.txt'));
    await pauseFor(SHORT + 5);
    assert.equal((await ask(other, '/small.txt')).status, 404);
    // What is not there is never kept.
    writeFileSync(join(root, 'small.txt'), 'third');
    assert.equal((await ask(other, '/small.txt')).body, 'third');
  });

  it('a large one that was changed in place is seen at once, with its new tag', async () => {
    const { client } = await open({ cacheMs: LONG });
    const before = await ask(client, '/large.txt');
    appendFileSync(join(root, 'large.txt'), 'more');
    const longer = await ask(client, '/large.txt');
    assert.ok(longer.body === `${LARGE}more`);
    assert.notEqual(longer.fields.get('etag'), before.fields.get('etag'));
    truncateSync(join(root, 'large.txt'), 70_000);
    assert.ok((await ask(client, '/large.txt')).body === LARGE.slice(0, 70_000));
  });

  it('one that gets shorter while it is sent cuts the connection, and is opened anew', async () => {
    const { rig, client } = await open({ cacheMs: LONG });
    const path = join(root, 'shrinking');
    writeFileSync(path, Buffer.alloc(50_000_000));
    await client.send(get('/shrinking'));
    await client.raw.readable();
    truncateSync(path, 100_000);
    assert.ok((await client.rest().catch(() => '')).length < 50_000_000);
    const next = await rig.connect();
    assert.equal((await ask(next, '/shrinking')).body.length, 100_000);
  });

  it('links that lead outside later are followed no longer than the cache keeps', async () => {
    const { client } = await open({ cacheMs: SHORT });
    mkdirSync(join(root, 'sub'));
    mkdirSync(join(folder, 'elsewhere'), { recursive: true });
    writeFileSync(join(folder, 'elsewhere', 'file'), 'elsewhere');
    writeFileSync(join(root, 'sub', 'file'), 'inside');
    writeFileSync(join(root, 'link'), 'inside');
    for (const path of ['/sub/file', '/link']) {
      assert.equal((await ask(client, path)).body, 'inside');
    }
    unlinkSync(join(root, 'link'));
    symlinkSync('../secret', join(root, 'link'));
    // The same file, moved outside with its folder: neither its number nor its times change.
    renameSync(join(root, 'sub'), join(folder, 'moved'));
    symlinkSync('../moved', join(root, 'sub'));
    await pauseFor(SHORT + 5);
    for (const path of ['/sub/file', '/link']) {
      assert.equal((await ask(client, path)).status, 404, path);
    }
    rmSync(join(folder, 'moved'), { recursive: true });
  });

  it('paths that are refused are refused as ever', async () => {
    writeFileSync(join(root, 'index.html'), 'index');
    writeFileSync(join(root, 'index.html.br'), zlib.brotliCompressSync('index'));
    writeFileSync(join(root, '.br'), 'hidden');
    const { client } = await open({ cacheMs: LONG, precompressed: ['br'] });
    assert.equal(
      (await ask(client, '/', 'Accept-Encoding: br')).fields.get('content-encoding'),
      'br',
    );
    assert.equal((await ask(client, '/')).body, 'index');
    for (const path of ['/.br', '//', '/./small.txt', '/../secret', '/%2e%2e/secret', '/x/..']) {
      for (let i = 0; i < 2; i += 1) {
        assert.equal((await ask(client, path, 'Accept-Encoding: br')).status, 404, path);
      }
    }
  });

  it('variants are found, and those that are not there are not looked for', async () => {
    writeFileSync(join(root, 'app.js'), 'plain');
    writeFileSync(join(root, 'app.js.gz'), zlib.gzipSync('gzip'));
    const { client } = await open({ cacheMs: LONG, precompressed: ['br', 'gzip'] });
    for (let i = 0; i < 3; i += 1) {
      for (const [accepted, coding] of [
        ['br', undefined],
        ['gzip', 'gzip'],
        ['br, gzip', 'gzip'],
      ]) {
        const answer = await ask(client, '/app.js', `Accept-Encoding: ${accepted}`);
        assert.equal(answer.fields.get('content-encoding'), coding);
        assert.equal(answer.fields.get('vary'), 'Accept-Encoding');
      }
    }
  });

  it('are few: files, bytes and descriptors are bounded, and none is left behind', async () => {
    for (let i = 0; i < 40; i += 1) {
      writeFileSync(join(root, `large-${i}`), LARGE);
      writeFileSync(join(root, `small-${i}`), SMALL);
    }
    const { rig, client } = await open({ cacheMs: LONG, cacheFilesMax: 8 });
    for (let i = 0; i < 40; i += 1) {
      await client.send(get(`/large-${i}`) + get(`/small-${i}`));
      assert.ok((await client.answer()).body === LARGE);
      assert.ok((await client.answer()).body === SMALL);
      await until('the descriptors to be few', () => opened().length <= 8);
    }
    assert.ok(opened().length > 0);
    await rig.server.close({ deadlineMs: 0 });
    await until('the files to be closed', () => opened().length === 0);
    // Nobody asks any more: none is kept.
    const short = (await open({ cacheMs: SHORT })).client;
    await ask(short, '/large.txt');
    await until('the file to be closed', () => opened().length === 0);
  });

  it('wrong options throw', async () => {
    for (const options of [
      { cacheMs: -1 },
      { cacheMs: 1.5 },
      { cacheFilesMax: 0 },
      { cacheBytesMax: -1 },
    ]) {
      await assert.rejects(staticFiles(root, options), RangeError);
    }
  });
});

describe('FileCache', () => {
  /** As much of a reactor as it needs, with a clock that the test moves. */
  function clock() {
    const timers: { at: number; run: () => void }[] = [];
    const reactor = {
      now: 0,
      setTimer: (ms: number, run: () => void) => timers.push({ at: reactor.now + ms, run }) - 1,
      clearTimer: (timer: number) => void delete timers[timer],
    };
    const move = (ms: number) => {
      reactor.now += ms;
      for (const [i, timer] of timers.entries()) {
        if (timer !== undefined && timer.at <= reactor.now) {
          delete timers[i];
          timer.run();
        }
      }
    };
    const count = () => timers.filter((timer) => timer !== undefined).length;
    return { reactor: reactor as unknown as Reactor, move, count };
  }

  async function fill(cache: FileCache, key: string, name: string) {
    const file = await cache.open(key, () => openFile(root, join(root, name)));
    assert.ok(typeof file === 'object');
    cache.put(key, file, []);
    file.release();
    return file;
  }

  it('drops what is old, what is too much, and all at its end; without files it has no timer', async () => {
    const { reactor, move, count } = clock();
    const limits = {
      cacheMs: 100,
      cacheFilesMax: 3,
      cacheBytesMax: 2 * SMALL.length,
      readsInThreads: true,
    };
    const cache = new FileCache(reactor, limits);
    assert.equal(count(), 0);
    const file = await fill(cache, 'a', 'small.txt');
    assert.equal(file.handle, undefined);
    assert.equal(cache.get('a')?.content?.toString(), SMALL);
    await fill(cache, 'b', 'small.txt');
    assert.ok(cache.get('a') !== undefined);
    // The bytes are used up: the one that was not asked for goes.
    await fill(cache, 'c', 'small.txt');
    assert.deepEqual([cache.get('b'), cache.size], [undefined, 2]);
    const missing = async (codings: Coding[]) => {
      const again = await cache.open('m', () => openFile(root, join(root, 'none.txt')));
      assert.ok(typeof again === 'object');
      cache.put('m', again, codings);
      again.release();
      return cache.missing('m');
    };
    writeFileSync(join(root, 'none.txt'), '');
    assert.deepEqual(await missing(['br']), ['br']);
    move(60);
    // What one client found missing is not forgotten for another, nor known for longer.
    assert.deepEqual(await missing(['gzip', 'br']), ['br', 'gzip']);
    move(40);
    assert.deepEqual([cache.missing('m'), cache.get('m')], [undefined, undefined]);
    await fill(cache, 'a', 'small.txt');
    await fill(cache, 'c', 'small.txt');
    const large = await fill(cache, 'd', 'large.txt');
    await fill(cache, 'e', 'large.txt');
    assert.deepEqual([cache.get('a'), cache.size], [undefined, 3]);
    const held = cache.get('d')!;
    assert.equal(held, large);
    move(99);
    await fill(cache, 'g', 'large.txt');
    move(1);
    assert.deepEqual([cache.get('d'), cache.size, count()], [undefined, 1, 1]);
    // Who uses it goes on using it.
    assert.ok(held.handle !== undefined);
    held.release();
    assert.equal(held.handle, undefined);
    cache.close();
    assert.deepEqual([cache.size, count()], [0, 0]);
    await fill(cache, 'f', 'large.txt');
    assert.equal(cache.size, 0);
    await until('the files to be closed', () => opened().length === 0);
  });

  it('reads a file of middle size when it is asked for again, if it is not being read in threads', async () => {
    writeFileSync(join(root, 'middle.txt'), Buffer.alloc(50_000, 'm'));
    for (const [readsInThreads, cacheBytesMax] of [
      [false, 120_000],
      [true, 120_000],
      [false, 49_999],
    ] as const) {
      const { reactor } = clock();
      const cache = new FileCache(reactor, {
        cacheMs: 100,
        cacheFilesMax: 9,
        cacheBytesMax,
        readsInThreads,
      });
      const first = await fill(cache, 'a', 'middle.txt');
      assert.ok(first.handle !== undefined && first.content === undefined);
      const isRead = !readsInThreads && cacheBytesMax > 50_000;
      const used = cache.get('a')!;
      assert.equal(used.content?.toString(), isRead ? 'm'.repeat(50_000) : undefined);
      // Nobody else used it when it was read: then it is closed.
      assert.equal(used.handle === undefined, isRead);
      used.release();
      for (const key of ['b', 'c']) {
        await fill(cache, key, 'middle.txt');
        const inUse = cache.get(key);
        inUse?.release();
      }
      assert.equal(cache.size, isRead ? 2 : 3);
      cache.close();
    }
    await until('the files to be closed', () => opened().length === 0);
  });

  it('opens a file once for all that ask at the same time, and tells all of a failure', async () => {
    const cache = new FileCache(clock().reactor, {
      cacheMs: 100,
      cacheFilesMax: 3,
      cacheBytesMax: 0,
      readsInThreads: false,
    });
    let opens = 0;
    const openOnce = () => {
      opens += 1;
      return openFile(root, join(root, 'large.txt'));
    };
    const files = await Promise.all([1, 2, 3].map(() => cache.open('a', openOnce)));
    assert.equal(opens, 1);
    for (const file of files) {
      assert.ok(typeof file === 'object' && file.handle !== undefined);
      file.release();
    }
    await until('the file to be closed', () => opened().length === 0);
    const fails = [1, 2].map(() => cache.open('b', () => Promise.reject(new Error('no'))));
    for (const outcome of await Promise.allSettled(fails)) {
      assert.equal(outcome.status, 'rejected');
    }
    assert.equal(await cache.open('b', async () => undefined), undefined);
    // No room for bytes: it is not kept.
    await fill(cache, 'c', 'small.txt');
    assert.equal(cache.size, 0);
  });
});
