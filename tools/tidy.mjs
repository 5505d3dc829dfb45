/**
 * `npm run tidy`: the rules of CONTRIBUTING.md that a machine can check, one line for each violation.
 *
 * The rules as data are in tidy-rules.mjs, those that look at one source file in tidy-source.mjs; here are those that
 * look at the whole tree: names, cycles, twin tests, links, traces of the machine that something was written on.
 */
// @ts-check

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

import { checkLinks } from './markdown-links.mjs';
import { findImports, lineAt, readSource } from './source-text.mjs';
import { EMPTY_NAMES, RULES } from './tidy-rules.mjs';
import { checkSource, isDeclarative } from './tidy-source.mjs';
import { note, ROOT } from './tool.mjs';

/** @typedef {import('./tidy-source.mjs').SourceFile} SourceFile */
/** @typedef {import('./tidy-rules.mjs').Rules} Rules */
/** @typedef {{ path: string, line: number, rule: string, message: string }} Violation */

/** Where a tree that is no Git repository (a test's) is not looked into. */
const UNTRACKED_FOLDERS = ['.git', 'node_modules', 'dist', '.build'];
const CODE_FILE = /^(src|test|bench|examples|tools)\/.*\.(ts|mts|mjs|js)$/;
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
/** A path that exists only on one machine. */
const MACHINE_PATH = /(?<![\w.~*$}-])\/(?:work|root|Users|home\/\w+)\/\w/g;

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const violations = checkTree(ROOT);
  for (const { path, line, message } of violations) console.log(`${path}:${line}: ${message}`);
  if (violations.length > 0) {
    note(`${violations.length} violations of the rules in CONTRIBUTING.md`);
    process.exitCode = 1;
  }
}

/**
 * Everything that is wrong with the tree, in the order of paths and lines.
 *
 * @param {string} root Absolute.
 * @param {Rules} [rules]
 * @returns {Violation[]}
 */
export function checkTree(root, rules = RULES) {
  const paths = listTree(root);
  const texts = new Map(paths.map((path) => [path, readText(join(root, path))]));
  /** @type {SourceFile[]} */
  const sources = [];
  /** @type {Violation[]} */
  const violations = [];
  for (const [path, text] of texts) {
    violations.push(...checkName(path));
    if (text === undefined) continue;
    violations.push(...checkTraces(path, text));
    if (path.endsWith('.md')) violations.push(...checkLinks(path, texts, root));
    if (CODE_FILE.test(path)) sources.push(openSource(path, text));
  }
  for (const file of sources) {
    violations.push(
      ...checkSource(file, rules).map((finding) => ({ path: file.path, ...finding })),
    );
  }
  violations.push(...checkCycles(sources));
  violations.push(...checkTwins(sources, rules));
  violations.push(...checkLists(paths, rules));
  return violations.sort((a, b) => compare(a.path, b.path) || a.line - b.line);
}

/**
 * What Git tracks or would track; in a folder without Git, everything.
 *
 * @param {string} root
 * @returns {string[]}
 */
function listTree(root) {
  if (existsSync(join(root, '.git'))) {
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const git = spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
    if (git.status === 0) {
      const listed = git.stdout.split('\0').filter((path) => path !== '');
      return [...new Set(listed)].filter((path) => existsSync(join(root, path))).sort();
    }
  }
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(sep).some((name) => UNTRACKED_FOLDERS.includes(name)))
    .sort();
}

/**
 * The file as text; undefined if it is a folder (a submodule) or binary.
 *
 * @param {string} file
 */
function readText(file) {
  if (!statSync(file).isFile()) return undefined;
  const bytes = readFileSync(file);
  return bytes.subarray(0, 8192).includes(0) ? undefined : bytes.toString('utf8');
}

/**
 * @param {string} path
 * @param {string} text
 * @returns {SourceFile}
 */
function openSource(path, text) {
  const source = readSource(text);
  const imports = findImports(source).map((found) => ({
    ...found,
    target: found.specifier.startsWith('.')
      ? normalize(join(dirname(path), found.specifier)).replace(/\.js$/, '.ts')
      : undefined,
  }));
  return { path, source, imports };
}

/**
 * @param {string} path
 * @returns {Violation[]}
 */
function checkName(path) {
  /** @type {Violation[]} */
  const violations = [];
  const stems = path.split('/').map((name) => name.split('.')[0] ?? '');
  const empty = stems.find((stem) => EMPTY_NAMES.includes(stem));
  if (empty !== undefined) {
    const message = `"${empty}" says nothing: name it after what it does`;
    violations.push({ path, line: 1, rule: 'name', message });
  }
  if (CODE_FILE.test(path) && !KEBAB_CASE.test(basename(path))) {
    violations.push({ path, line: 1, rule: 'name', message: 'file names are kebab-case' });
  }
  return violations;
}

/**
 * Traces of one machine: its absolute paths, and its package host in the lock file.
 *
 * @param {string} path
 * @param {string} text
 * @returns {Violation[]}
 */
function checkTraces(path, text) {
  const found = [...text.matchAll(MACHINE_PATH)].map((match) => ({
    index: match.index,
    message: `${match[0].slice(0, -1)}: no path of one machine`,
  }));
  if (basename(path) === 'package-lock.json') {
    for (const match of text.matchAll(/"resolved": "http/g)) {
      found.push({ index: match.index, message: 'no host of packages in the lock file' });
    }
  }
  return found.map(({ index, message }) => ({
    path,
    line: lineAt(text, index),
    rule: 'machine',
    message,
  }));
}

/**
 * Files of src that import each other in a circle; types do not count, since nothing of them is left at run time.
 *
 * @param {SourceFile[]} sources
 * @returns {Violation[]}
 */
function checkCycles(sources) {
  const files = new Map(
    sources.filter(({ path }) => path.startsWith('src/')).map((file) => [file.path, file]),
  );
  /** @type {Violation[]} */
  const violations = [];
  /** @type {Set<string>} */
  const done = new Set();
  /** @type {(path: string, trail: string[]) => void} */
  const visit = (path, trail) => {
    for (const { target, line, isTypeOnly } of files.get(path)?.imports ?? []) {
      if (isTypeOnly || target === undefined || done.has(target)) continue;
      const start = trail.indexOf(target);
      if (start === -1) {
        visit(target, [...trail, target]);
      } else {
        const circle = [...trail.slice(start), target].join(' → ');
        violations.push({ path, line, rule: 'cycle', message: `imports in a circle: ${circle}` });
      }
    }
    done.add(path);
  };
  for (const path of files.keys()) if (!done.has(path)) visit(path, [path]);
  return violations;
}

/**
 * src/X.ts has test/X.test.ts, or X.slow.test.ts and the like, or is listed with the test that covers it.
 *
 * @param {SourceFile[]} sources
 * @param {Rules} rules
 * @returns {Violation[]}
 */
function checkTwins(sources, { coveredBy }) {
  const tested = new Set(
    sources.map(({ path }) => path.match(/^test\/(.+?)(\.[\w-]+)?\.test\.ts$/)?.[1]),
  );
  return sources.flatMap((file) => {
    const name = file.path.match(/^src\/(.+)\.ts$/)?.[1];
    if (name === undefined) return [];
    const isListed = Object.hasOwn(coveredBy, file.path);
    /** @type {(message: string) => Violation[]} */
    const violation = (message) => [{ path: file.path, line: 1, rule: 'twin', message }];
    if (tested.has(name)) {
      return isListed ? violation('has a test of its own now: take it out of coveredBy') : [];
    }
    if (isListed || isDeclarative(file)) return [];
    return violation(`has no test/${name}.test.ts; see coveredBy in tools/tidy-rules.mjs`);
  });
}

/**
 * The lists of exceptions name only what exists.
 *
 * @param {string[]} paths
 * @param {Rules} rules
 * @returns {Violation[]}
 */
function checkLists(paths, { coveredBy, clockFiles, ratchet }) {
  const listed = [
    ...Object.entries(coveredBy).flat(),
    ...Object.keys(clockFiles),
    ...Object.keys(ratchet),
  ];
  return listed
    .filter((path) => !paths.includes(path))
    .map((path) => ({
      path: 'tools/tidy-rules.mjs',
      line: 1,
      rule: 'list',
      message: `names ${path}, and there is no such file`,
    }));
}

/**
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
