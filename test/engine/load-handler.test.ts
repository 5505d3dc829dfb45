/** Handlers that are modules. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import { isMainFile, loadHandler, moduleUrl } from '../../src/engine/load-handler.js';
import type { MillraceError } from '../../src/errors.js';

const moduleOf = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

async function load(code: string, data?: unknown): Promise<Record<string, unknown>> {
  return (await loadHandler(moduleOf(code), data)) as Record<string, unknown>;
}

describe('loadHandler()', () => {
  it('takes the default export, or the one named handler', async () => {
    const tasks = (name: string) => `{ tasks: { ${name}() {} } }`;
    const both = `export const handler = ${tasks('named')}; export default ${tasks('main')}`;
    assert.deepEqual(Object.keys((await load(both)).tasks as object), ['main']);
    const named = `export const handler = ${tasks('named')};`;
    assert.deepEqual(Object.keys((await load(named)).tasks as object), ['named']);
  });

  it('calls a function with the data, also an asynchronous one', async () => {
    const handler = await load('export default async (data) => ({ tasks: data })', { a: 1 });
    assert.deepEqual(handler.tasks, { a: 1 });
    const made = await load('export function handler(data) { return { tasks: data }; }', { b: 2 });
    assert.deepEqual(made.tasks, { b: 2 });
  });

  it('refuses a module that cannot be loaded or has no handler, by a code', async () => {
    for (const code of [
      'export const other = 1',
      '',
      'syntax error',
      'throw new Error("at once")',
    ]) {
      await assert.rejects(
        load(code),
        (error: MillraceError) =>
          error.code === 'ERR_HANDLER_MODULE' && error.message.includes('data:'),
        code,
      );
    }
    await assert.rejects(loadHandler('file:///no/such/module.js', undefined), {
      code: 'ERR_HANDLER_MODULE',
    });
  });

  it('refuses what is no handler, and passes on what a function throws', async () => {
    for (const code of [
      'export default 5',
      'export default { onData: 5 }',
      'export default () => null',
    ]) {
      await assert.rejects(load(code), TypeError, code);
    }
    await assert.rejects(load('export default () => { throw new RangeError("no") }'), RangeError);
  });
});

describe('moduleUrl()', () => {
  it('takes URLs as they are, and paths from the working directory', () => {
    assert.equal(moduleUrl(new URL('file:///a%20b.js')), 'file:///a%20b.js');
    assert.equal(moduleUrl('file:///a.js'), 'file:///a.js');
    assert.equal(moduleUrl('data:text/javascript,1'), 'data:text/javascript,1');
    assert.equal(moduleUrl('/a/b.js'), 'file:///a/b.js');
    assert.equal(moduleUrl('./a b#1.js'), pathToFileURL(join(process.cwd(), 'a b#1.js')).href);
  });
});

describe('isMainFile()', () => {
  it('knows the file that the program was started with, also by a link to it', () => {
    assert.equal(isMainFile('file:///no/such/module.js'), false);
    const folder = mkdtempSync(join(tmpdir(), 'millrace-main-'));
    const file = join(folder, 'main.mjs');
    const source = new URL('../../src/engine/load-handler.js', import.meta.url).href;
    writeFileSync(
      file,
      `import { isMainFile } from ${JSON.stringify(source)};
       console.log(isMainFile(import.meta.url), isMainFile('file:///other.js'));`,
    );
    symlinkSync(file, join(folder, 'link.mjs'));
    for (const started of [file, join(folder, 'link.mjs')]) {
      const { stdout } = spawnSync(process.execPath, [started], { encoding: 'utf8' });
      assert.equal(stdout, 'true false\n');
    }
    rmSync(folder, { recursive: true });
  });
});
