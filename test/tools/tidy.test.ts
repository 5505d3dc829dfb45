/**
 * tools/tidy.mjs: each rule fires on a small tree that breaks it, and does not on one that keeps it. Trees are folders
 * below the system's temporary folder; their files are given as text here.
 */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
}

interface Rules {
  readonly clockFiles: Record<string, string>;
  readonly ratchet: Record<string, Record<string, number>>;
  readonly coveredBy: Record<string, string>;
}

interface Tidy {
  checkTree(root: string, rules: Rules): Violation[];
}

type Tree = Record<string, string>;

// The tools are plain JavaScript and not compiled; this file runs from .build/test/tools.
const tools = new URL('../../../tools/', import.meta.url);
const { checkTree }: Tidy = await import(new URL('tidy.mjs', tools).href);
const { RULES }: { RULES: Rules } = await import(new URL('tidy-rules.mjs', tools).href);
const EMPTY_LISTS: Rules = { clockFiles: {}, ratchet: {}, coveredBy: {} };

/** A header, so that only the rule in question fires. */
const HEADER = '/** What it is. */\n';

/** What tidy says about a tree of these files: `path:line rule` each. */
function check(tree: Tree, lists: Partial<Rules> = {}): string[] {
  const root = mkdtempSync(join(tmpdir(), 'millrace-tidy-'));
  try {
    for (const [path, text] of Object.entries(tree)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const violations = checkTree(root, { ...RULES, ...EMPTY_LISTS, ...lists });
    return violations.map(({ path, line, rule }) => `${path}:${line} ${rule}`);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** What tidy says about one file that holds these lines from line 2 on. That it has no test is left out. */
function checkLines(path: string, ...lines: string[]): string[] {
  const found = check({ [path]: `${HEADER}${lines.join('\n')}\n` });
  return found.filter((violation) => !violation.endsWith(' twin'));
}

test('a tree that keeps the rules has no violation', () => {
  const tree = {
    'README.md': '# Title\n\nSee [the guide](docs/guide.md#first-steps) and [above](#title).\n',
    'docs/guide.md': '# Guide\n\n## First steps\n\n```\n[no link](nowhere.md)\n```\n',
    'src/index.ts': `${HEADER}export { open } from './base/file.js';\n`,
    'src/api.ts': `${HEADER}import type { B } from './base/file.js';\nexport type A = B;\n`,
    'src/base/file.ts': `${HEADER}export type B = 1;\nexport function open(): void {}\n`,
    'test/base/file.test.ts': '',
  };
  assert.deepEqual(check(tree), []);
});

test('an import against the arrow is a violation', () => {
  for (const [path, line] of [
    ['src/base/a.ts', "import { b } from '../connection/b.js';"],
    ['src/connection/a.ts', "export { b } from '../engine/b.js';"],
    ['src/connection/a.ts', "const b = await import('../cli/b.js');"],
    ['src/errors.ts', "import { b } from './base/b.js';"],
  ] as const) {
    assert.deepEqual(checkLines(path, line), [`${path}:2 layer`], line);
  }
});

test('the types of the public face import types only', () => {
  const wrong = ['src/api.ts:2 layer'];
  assert.deepEqual(checkLines('src/api.ts', "import { b } from './base/b.js';"), wrong);
  assert.deepEqual(checkLines('src/api.ts', "import type { b } from './base/b.js';"), []);
  const property = "export interface A { readonly b: import('./base/b.js').B }";
  assert.deepEqual(checkLines('src/api.ts', property), []);
});

test('the index does nothing but re-export by name', () => {
  const lines = ["export { b } from './b.js';", 'const c = 1;'];
  assert.deepEqual(checkLines('src/index.ts', ...lines), ['src/index.ts:3 layer']);
});

test('a file of src that belongs to no layer is a violation', () => {
  assert.deepEqual(checkLines('src/attic/a.ts'), ['src/attic/a.ts:1 layer']);
});

test('files that import each other in a circle are a violation, types aside', () => {
  const circle = (kind: string): Tree => ({
    'src/base/a.ts': `${HEADER}import { b } from './b.js';\n`,
    'src/base/b.ts': `${HEADER}import { c } from './c.js';\n`,
    'src/base/c.ts': `${HEADER}${kind} { a } from './a.js';\n`,
  });
  assert.deepEqual(check(circle('import')), ['src/base/c.ts:2 cycle']);
  assert.deepEqual(check(circle('import type')), []);
});

test('one file alone imports koffi, and nothing else comes from outside', () => {
  const koffi = "import koffi from 'koffi';";
  assert.deepEqual(checkLines('src/base/ffi.ts', koffi), []);
  assert.deepEqual(checkLines('src/base/a.ts', koffi), ['src/base/a.ts:2 ffi']);
  assert.deepEqual(checkLines('bench/a.ts', koffi), ['bench/a.ts:2 ffi']);
  const others = ["import { x } from 'left-pad';", "import 'fs';", "import 'node:fs';"];
  const wrong = ['src/base/a.ts:2 package', 'src/base/a.ts:3 package'];
  assert.deepEqual(checkLines('src/base/a.ts', ...others), wrong);
});

test('clock, timers and chance of the host are violations in src', () => {
  for (const line of [
    'export const now = Date.now();',
    'export const now = new Date();',
    'export const chance = Math.random();',
    'setTimeout(() => {}, 5);',
    'globalThis.setInterval(() => {}, 5);',
    'setImmediate(callback);',
    'export const now = performance.now();',
    'export const now = process.hrtime();',
    "import timers from 'node:timers/promises';",
    "import { randomBytes } from 'node:crypto';",
  ]) {
    assert.deepEqual(checkLines('src/base/a.ts', line), ['src/base/a.ts:2 clock'], line);
    assert.deepEqual(checkLines('test/base/a.ts', line), [], line);
  }
});

test('a method of ours may be called like a timer; comments and strings may speak of one', () => {
  const lines = [
    '// Not Date.now(): it jumps.',
    "export const hint = 'see setTimeout';",
    'export class A {',
    '  setTimeout(milliseconds: number): void {}',
    '}',
    'connection.setTimeout(5);',
  ];
  assert.deepEqual(checkLines('src/base/a.ts', ...lines), []);
});

test('the files listed as clocks are free to use one', () => {
  const tree = { 'src/base/a.ts': `${HEADER}setTimeout(f, 5);\n` };
  assert.deepEqual(check(tree, { clockFiles: { 'src/base/a.ts': 'a reason' } }), []);
});

test('a long file is a violation', () => {
  const filler = 'f();\n'.repeat(399);
  assert.deepEqual(check({ 'src/base/a.ts': HEADER + filler }), []);
  const wrong = ['src/base/a.ts:1 file-length'];
  assert.deepEqual(check({ 'src/base/a.ts': `${HEADER}${filler}f();\n` }), wrong);
});

test('a long function is a violation, a suite of tests is none', () => {
  const inside = (opening: string, count: number): string[] =>
    checkLines('src/base/a.ts', opening, ...'  f();\n'.repeat(count).split('\n'), '}');
  for (const opening of [
    'function f(a: number): void {',
    'function f(a: number): { b: number } | undefined {',
    'function f(a: number): asserts a is 1 {',
    'export const f = async (a) => {',
    `const g = run(\`text \${a} }\`, /[/}]/, (a) => {`,
    'class A { f<T>(a: T): Map<string, { b: T }> {',
  ]) {
    assert.deepEqual(inside(opening, 67), [], opening);
    assert.deepEqual(inside(opening, 68), ['src/base/a.ts:2 function-length'], opening);
  }
  assert.deepEqual(inside("describe('x', () => {", 100), []);
});

test('a line of more than 120 columns is a violation', () => {
  assert.deepEqual(checkLines('src/base/a.ts', `// ${'x'.repeat(117)}`), []);
  const long = checkLines('src/base/a.ts', `// ${'x'.repeat(118)}`);
  assert.deepEqual(long, ['src/base/a.ts:2 columns']);
});

test('a ratchet allows what a file has and no more', () => {
  const tree = { 'src/base/a.ts': HEADER + 'f();\n'.repeat(449) };
  const found = (max: number): string[] =>
    check(tree, { ratchet: { 'src/base/a.ts': { 'file-length': max } } });
  assert.deepEqual(found(449), ['src/base/a.ts:1 file-length']);
  assert.deepEqual(found(450), []);
  assert.deepEqual(found(451), ['src/base/a.ts:1 file-length']);
});

test('banned words are violations where they mean something', () => {
  for (const line of [
    '// FIXME: broken.',
    '// TODO later',
    'export const a = b as any;',
    'export function f(a: any): void {}',
    'export type A = Map<string, any[]>;',
    "export * from './b.js';",
    'export default 1;',
    "console.log('x');",
  ]) {
    assert.deepEqual(checkLines('src/base/a.ts', line), ['src/base/a.ts:2 word'], line);
  }
  const allowed = ['// TODO(#12): split this.', '// any of them', "export const a = ': any';"];
  assert.deepEqual(checkLines('src/base/a.ts', ...allowed), []);
  assert.deepEqual(checkLines('src/cli/a.ts', "console.log('x');"), []);
});

test('names that say nothing, or are not kebab-case, are violations', () => {
  for (const path of ['src/base/utils.ts', 'src/base/helpers/a.ts', 'src/base/eventLoop.ts']) {
    assert.deepEqual(checkLines(path), [`${path}:1 name`]);
  }
  assert.deepEqual(checkLines('src/base/event-loop.ts'), []);
});

test('a source opens with a comment', () => {
  assert.deepEqual(check({ 'src/base/a.ts': 'export type A = 1;\n' }), ['src/base/a.ts:1 header']);
  assert.deepEqual(check({ 'src/cli/a.ts': '#!/usr/bin/env node\n// A.\n' }), []);
});

test('a source with code has a test of its name or is listed with the one that covers it', () => {
  const source = { 'src/base/a.ts': `${HEADER}export function a(): void {}\n` };
  assert.deepEqual(check(source), ['src/base/a.ts:1 twin']);
  assert.deepEqual(check({ ...source, 'test/base/a.test.ts': '' }), []);
  assert.deepEqual(check({ ...source, 'test/base/a.slow.test.ts': '' }), []);
  assert.deepEqual(check({ 'src/base/a.ts': `${HEADER}export interface A {}\n` }), []);
  const coveredBy = { 'src/base/a.ts': 'test/e2e/all.test.ts' };
  const covered = { ...source, 'test/e2e/all.test.ts': '' };
  assert.deepEqual(check(covered, { coveredBy }), []);
  const both = { ...covered, 'test/base/a.test.ts': '' };
  assert.deepEqual(check(both, { coveredBy }), ['src/base/a.ts:1 twin']);
  assert.deepEqual(check(source, { coveredBy }), ['tools/tidy-rules.mjs:1 list']);
});

test('links in Markdown lead to files and headings of the repository', () => {
  const page =
    '# A\n\n[b](b.md) `[c](c.md)` <https://example.org/x.md>\n[d](../../d.md)\n[e](#e)\n';
  assert.deepEqual(check({ 'docs/a.md': page }), [
    'docs/a.md:3 link',
    'docs/a.md:4 link',
    'docs/a.md:5 link',
  ]);
});

test('traces of one machine are violations', () => {
  for (const folder of ['work', 'root', 'home/ann', 'Users']) {
    assert.deepEqual(check({ 'NOTES.md': `In /${folder}/main.\n` }), ['NOTES.md:1 machine']);
  }
  assert.deepEqual(check({ 'NOTES.md': 'https://example.org/work/a ./root/a /tmp/a\n' }), []);
  const lock = '{\n  "resolved": "https://registry.example/a.tgz"\n}\n';
  assert.deepEqual(check({ 'package-lock.json': lock }), ['package-lock.json:2 machine']);
});
