/** docs/api.md: it is up to date, and the check notices when it is not. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { appendFileSync, cpSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function check(root: string) {
  return spawnSync(process.execPath, ['tools/api-docs.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
}

it('names every export of every entry once, with its docstring', () => {
  const text = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  for (const path of Object.keys(exports)) {
    if (path !== './package.json') {
      assert.ok(text.includes(`\n## millrace${path.slice(1)}\n`), path);
    }
  }
  for (const name of [
    'serve',
    'Connection',
    'lengthField',
    'httpHandler',
    'tlsHandler',
    'WorkQueue',
  ]) {
    assert.equal(text.split(`\n### ${name}\n`).length, 2, name);
  }
  assert.ok(
    text.includes(
      '\n### serve\n\n```ts\nfunction serve(options: ServeOptions): Promise<Server>;\n```\n\nStarts a server.',
    ),
  );
  // Not the whole text in the message.
  assert.deepEqual(text.match(/^\s*(?:#private|private |\/\*\* Internal).*$/gm) ?? [], []);
});

it('a docstring that has changed is noticed', (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'millrace-docs-'));
  t.after(() => rmSync(copy, { recursive: true }));
  for (const folder of ['src', 'tools', 'dist']) {
    cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
  }
  for (const folder of ['docs', '.build']) {
    mkdirSync(join(copy, folder));
  }
  for (const file of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'docs/api.md',
    '.build/dist.stamp',
  ]) {
    copyFileSync(join(ROOT, file), join(copy, file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const fresh = check(copy);
  assert.equal(fresh.status, 0, fresh.stderr);
  appendFileSync(
    join(copy, 'src/codec/fixed-length.ts'),
    '\n/** New. */\nexport function added(): void {}\n',
  );
  appendFileSync(join(copy, 'src/codec/index.ts'), "export { added } from './fixed-length.js';\n");
  const stale = check(copy);
  assert.equal(stale.status, 1);
  assert.match(stale.stderr, /docs\/api\.md is out of date: run npm run docs/);
});
