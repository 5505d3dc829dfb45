/** The rules of tools/tidy.mjs that look at one source file at a time. */
// @ts-check

import { findFunctions, lineAt } from './source-text.mjs';
import {
  BANNED_CODE,
  BANNED_COMMENTS,
  CLOCK_MODULES,
  CLOCK_NAMES,
  COLUMNS_MAX,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
} from './tidy-rules.mjs';

/** @typedef {import('./tidy-rules.mjs').Rules} Rules */
/** @typedef {{ line: number, rule: string, message: string }} Finding */

/**
 * @typedef {object} SourceFile
 * @property {string} path From the root.
 * @property {import('./source-text.mjs').Source} source
 * @property {{ specifier: string, line: number, isTypeOnly: boolean, target: string | undefined }[]} imports With the
 *   path from the root for a file of ours.
 */

/**
 * Everything that is wrong with one file on its own.
 *
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {Finding[]}
 */
export function checkSource(file, rules) {
  return [
    ...checkHeader(file),
    ...checkLayer(file, rules),
    ...checkPackages(file, rules),
    ...checkClock(file, rules),
    ...checkSize(file, rules),
    ...checkColumns(file),
    ...checkWords(file),
  ];
}

/**
 * Whether a source holds types alone, or only passes on what others export: nothing that runs.
 *
 * @param {SourceFile} file
 */
export function isDeclarative({ source }) {
  const declaration =
    /^[ \t]*(?:export\s+)?(?:abstract\s+)?(?:const|let|var|async|function|class)\b/m;
  return !declaration.test(source.code);
}

/**
 * @param {SourceFile} file
 * @returns {Finding[]}
 */
function checkHeader({ path, source }) {
  if (!/^(src|tools)\//.test(path)) return [];
  if (/^(#!.*\n)?\s*\/[/*]/.test(source.text)) return [];
  return [{ line: 1, rule: 'header', message: 'a file opens with a comment that says what it is' }];
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {Finding[]}
 */
function checkLayer({ path, source, imports }, { layers }) {
  if (!path.startsWith('src/')) return [];
  const layer = layers.find(({ of }) => contains(of, path));
  if (layer === undefined) {
    return [{ line: 1, rule: 'layer', message: 'belongs to no layer: see tools/tidy-rules.mjs' }];
  }
  /** @type {Finding[]} */
  const findings = [];
  for (const { target, line, isTypeOnly } of imports) {
    if (target === undefined) continue;
    if (!layer.may.some((allowed) => contains(allowed, target))) {
      findings.push({ line, rule: 'layer', message: `${layer.of} may not import ${target}` });
    } else if (layer.isTypeOnly && !isTypeOnly) {
      findings.push({ line, rule: 'layer', message: `${layer.of} may import types only` });
    }
  }
  if (layer.isReExport) {
    const rest = source.code.replace(/export\s+(type\s+)?\{[^}]*\}\s*from\s*'\s*'\s*;?/g, (match) =>
      match.replace(/[^\n]/g, ' '),
    );
    const other = rest.search(/\S/);
    if (other !== -1) {
      const line = lineAt(rest, other);
      findings.push({ line, rule: 'layer', message: `${path} only re-exports, by name` });
    }
  }
  return findings;
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {Finding[]}
 */
function checkPackages({ path, imports }, { ffiFile }) {
  /** @type {Finding[]} */
  const findings = [];
  for (const { specifier, target, line } of imports) {
    if (specifier === 'koffi' && path !== ffiFile) {
      findings.push({ line, rule: 'ffi', message: `only ${ffiFile} imports koffi` });
    }
    const isOutside = target === undefined && !/^(node:|\.|koffi$)/.test(specifier);
    if (isOutside && path.startsWith('src/')) {
      const message = `no package but koffi at run time, and Node's own with "node:": ${specifier}`;
      findings.push({ line, rule: 'package', message });
    }
  }
  return findings;
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {Finding[]}
 */
function checkClock({ path, source, imports }, { clockFiles }) {
  if (!path.startsWith('src/') || Object.hasOwn(clockFiles, path)) return [];
  const found = CLOCK_NAMES.flatMap((pattern) => [...source.code.matchAll(pattern)])
    .filter(({ 0: name, index }) => !isDeclaration(source.code, index + name.length))
    .map(({ 0: name, index }) => ({ name, line: lineAt(source.code, index) }));
  const modules = imports
    .filter(({ specifier }) => CLOCK_MODULES.includes(specifier))
    .map(({ specifier, line }) => ({ name: specifier, line }));
  return [...found, ...modules].map(({ name, line }) => ({
    line,
    rule: 'clock',
    message: `${name}: clock, timers and chance come from Kernel alone`,
  }));
}

/**
 * Whether a name followed by parentheses is a method of ours that is called so, such as `setTimeout(ms: number): void`.
 *
 * @param {string} code
 * @param {number} end Where the name ends.
 */
function isDeclaration(code, end) {
  return /^\s*(<[^()]*>)?\([^()]*\)\s*[:{]/.test(code.slice(end, end + 400));
}

/**
 * @param {SourceFile} file
 * @param {Rules} rules
 * @returns {Finding[]}
 */
function checkSize({ path, source }, { ratchet }) {
  /** @type {Finding[]} */
  const findings = [];
  for (const [rule, usual, sizes] of /** @type {const} */ ([
    ['file-length', FILE_LINES_MAX, [sizeOfFile(source)]],
    ['function-length', FUNCTION_LINES_MAX, sizesOfFunctions(source)],
  ])) {
    const allowed = ratchet[path]?.[rule];
    const max = allowed ?? usual;
    for (const { name, line, lineCount } of sizes) {
      if (lineCount <= max) continue;
      findings.push({ line, rule, message: `${name} has ${lineCount} lines, at most ${max}` });
    }
    const largest = Math.max(0, ...sizes.map(({ lineCount }) => lineCount));
    if (allowed !== undefined && largest < allowed) {
      const message = `needs no more than ${largest}: lower the ratchet in tools/tidy-rules.mjs`;
      findings.push({ line: 1, rule, message });
    }
  }
  return findings;
}

/** @param {import('./source-text.mjs').Source} source */
function sizeOfFile({ text }) {
  const lineCount = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return { name: 'the file', line: 1, lineCount };
}

/**
 * All but suites: these are tables of contents, and not functions that anybody has to follow.
 *
 * @param {import('./source-text.mjs').Source} source
 */
function sizesOfFunctions(source) {
  const lines = source.code.split('\n');
  const isSuite = /^\s*(?:(?:await\s+)?(?:describe|suite)(?:\.\w+)?\(|export const \w+Suite = )/;
  return findFunctions(source).filter(({ line }) => !isSuite.test(lines[line - 1] ?? ''));
}

/**
 * @param {SourceFile} file
 * @returns {Finding[]}
 */
function checkColumns({ source }) {
  return source.text.split('\n').flatMap(({ length }, i) => {
    if (length <= COLUMNS_MAX) return [];
    const message = `${length} columns, at most ${COLUMNS_MAX}`;
    return [{ line: i + 1, rule: 'columns', message }];
  });
}

/**
 * @param {SourceFile} file
 * @returns {Finding[]}
 */
function checkWords({ path, source }) {
  const inCode = BANNED_CODE.filter(
    ({ folders, except = [] }) =>
      folders.some((folder) => path.startsWith(folder)) &&
      !except.some((folder) => path.startsWith(folder)),
  );
  return [...findWords(source.code, inCode), ...findWords(source.comments, BANNED_COMMENTS)];
}

/**
 * @param {string} text
 * @param {{ pattern: RegExp, message: string }[]} words
 * @returns {Finding[]}
 */
function findWords(text, words) {
  return words.flatMap(({ pattern, message }) =>
    [...text.matchAll(pattern)].map((match) => ({
      line: lineAt(text, match.index),
      rule: 'word',
      message: `${match[0].trim()}: ${message}`,
    })),
  );
}

/**
 * @param {string} place A folder with a final slash, or a file.
 * @param {string} path
 */
function contains(place, path) {
  return place.endsWith('/') ? path.startsWith(place) : path === place;
}
