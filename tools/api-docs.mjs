/**
 * `npm run docs`: writes docs/api.md from the docstrings of everything that the package exports. With `--check` it only
 * compares, and fails when the file is out of date: so does `npm run ok`.
 *
 * The compiler's own view of the published declarations (dist/) is what is written down: names by its checker, text
 * and docstrings as they stand there.
 */
// @ts-check

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ensureBuilt, ensureInstalled } from './setup.mjs';
import { note, ROOT, runTool, ToolError } from './tool.mjs';

const OUTPUT = 'docs/api.md';
const PROJECT = '.build/api-docs.tsconfig.json';

/**
 * @typedef {object} Item One exported name.
 * @property {string} name
 * @property {'Functions' | 'Classes' | 'Constants' | 'Types'} group
 * @property {string} text The declaration, without its docstring.
 * @property {string} doc Its docstring as Markdown.
 */

/**
 * @typedef {object} Entry One way into the package.
 * @property {string} specifier Such as `millrace/http`.
 * @property {string} doc What its file says of itself.
 * @property {Item[]} items
 */

/** In the order in which they are listed; and what one of them is called. */
const KINDS = { Functions: 'function', Classes: 'class', Constants: 'constant', Types: 'type' };

/** @param {Item} item */
function rankOf({ group }) {
  return Object.keys(KINDS).indexOf(group);
}

/** Headings whose anchors, as GitHub makes them, are all different: they do not tell `Remote` from `remote`. */
class Headings {
  #slugs = new Set();

  /**
   * The first of several texts that is not taken.
   *
   * @param {string[]} texts
   */
  add(...texts) {
    for (const text of texts) {
      const words = text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '');
      const slug = words.replaceAll(' ', '-');
      if (!this.#slugs.has(slug)) {
        this.#slugs.add(slug);
        return { text, slug };
      }
    }
    throw new ToolError(`The heading ${texts.at(-1)} is there twice.`);
  }
}

await runTool(async () => {
  ensureInstalled({ dev: true });
  ensureBuilt();
  const text = render(await readEntries());
  const path = join(ROOT, OUTPUT);
  if (!process.argv.includes('--check')) {
    writeFileSync(path, text);
    note(`wrote ${OUTPUT}`);
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    throw new ToolError(`${OUTPUT} is out of date: run npm run docs, and commit it.`);
  }
});

/** @returns {Promise<Entry[]>} */
async function readEntries() {
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  /** @type {[specifier: string, types: string][]} */
  const ways = Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([path, target]) => [path.replace('.', name), target.types]);
  mkdirSync(join(ROOT, '.build'), { recursive: true });
  const compilerOptions = {
    target: 'ES2023',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    types: ['node'],
    skipLibCheck: true,
    noEmit: true,
  };
  const files = ways.map(([, types]) => join('..', types));
  writeFileSync(join(ROOT, PROJECT), JSON.stringify({ compilerOptions, files }));
  // Not before everything is installed.
  const { API } = await import('typescript/unstable/sync');
  const api = new API({ cwd: ROOT });
  try {
    const [project] = api.updateSnapshot({ openProject: join(ROOT, PROJECT) }).getProjects();
    return ways.map(([specifier, types]) => readEntry(project, specifier, join(ROOT, types)));
  } finally {
    api.close();
  }
}

/**
 * @param {any} project The compiler's.
 * @param {string} specifier
 * @param {string} path
 * @returns {Entry}
 */
function readEntry(project, specifier, path) {
  const file = project.program.getSourceFile(path);
  const { checker } = project;
  const items = checker
    .getExportsOfModule(checker.getSymbolAtLocation(file))
    .map((/** @type {any} */ exported) => readItem(project, exported))
    .sort((/** @type {Item} */ a, /** @type {Item} */ b) => (a.name < b.name ? -1 : 1));
  return { specifier, doc: proseOf(docstringIn(file.text)), items };
}

/**
 * @param {any} project
 * @param {any} exported A symbol, which may stand for one in another file.
 * @returns {Item}
 */
function readItem(project, exported) {
  const symbol = project.checker.getImmediateAliasedSymbol(exported)
    ? project.checker.getAliasedSymbol(exported)
    : exported;
  const statements = symbol.declarations.map((/** @type {any} */ handle) =>
    statementOf(handle.resolve(project)),
  );
  if (statements.length === 0) throw new ToolError(`${exported.name} has no declaration.`);
  const parts = statements.map((/** @type {any} */ node) => {
    const source = node.getSourceFile().text;
    const start = node.getStart();
    return {
      doc: docstringIn(source.slice(node.getFullStart(), start)),
      text: tidyDeclaration(source.slice(start, node.getEnd())),
    };
  });
  const text = parts.map((/** @type {{ text: string }} */ part) => part.text).join('\n\n');
  const doc = parts.map((/** @type {{ doc: string }} */ part) => proseOf(part.doc));
  return { name: exported.name, group: groupOf(text), text, doc: doc.filter(Boolean).join('\n\n') };
}

/**
 * The whole statement, where a declaration is only a part of one: `declare const name: Type`.
 *
 * @param {any} node
 * @returns {any}
 */
function statementOf(node) {
  let at = node;
  while (at.parent !== undefined && at.parent.parent !== undefined) at = at.parent;
  return at;
}

/**
 * The declaration as users write it, without what they cannot use.
 *
 * @param {string} text
 */
function tidyDeclaration(text) {
  return text
    .replace(/^export (?:declare )?/, '')
    .replace(/^[ \t]*\/\*\* Internal\b(?:(?!\*\/)[\s\S])*\*\/\n[^\n]*;\n/gm, '')
    .replace(
      /(?:^[ \t]*\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?^[ \t]*(?:#private|private [^\n]*);\n/gm,
      '',
    )
    .replace(/^(?: {4})+/gm, (indent) => ' '.repeat(indent.length / 2))
    .trim();
}

/**
 * @param {string} text
 * @returns {Item['group']}
 */
function groupOf(text) {
  if (/^function\b/.test(text)) return 'Functions';
  if (/^(?:abstract )?class\b/.test(text)) return 'Classes';
  return /^(?:const|let|var)\b/.test(text) ? 'Constants' : 'Types';
}

/**
 * The last docstring in a piece of source; of a file's beginning the first.
 *
 * @param {string} text
 */
function docstringIn(text) {
  const all = text.match(/\/\*\*(?:(?!\*\/)[\s\S])*\*\//g) ?? [];
  return (text.startsWith('/**') ? all[0] : all.at(-1)) ?? '';
}

/**
 * A docstring as Markdown: its lines as they are, its tags as a list.
 *
 * @param {string} docstring
 */
function proseOf(docstring) {
  const lines = docstring
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd());
  return lines
    .join('\n')
    .trim()
    .replace(
      /^@(throws|returns)\s+/gm,
      (_, tag) => `- **${tag === 'throws' ? 'Throws' : 'Returns'}** `,
    )
    .replace(/^@param\s+(\S+)\s+(?:- )?/gm, '- `$1`: ');
}

/** @param {Entry[]} entries */
function render(entries) {
  const out = [
    '# API',
    '',
    'Everything that the package exports, from its docstrings. Written by `npm run docs`: change the source, not',
    'this file.',
    '',
  ];
  const headings = new Headings();
  headings.add('API');
  const sections = entries.map((entry) => {
    const own = headings.add(entry.specifier);
    /** What is called comes first: a type of the same name, but for its case, is told apart. */
    const claims = [...entry.items].sort((x, y) => rankOf(x) - rankOf(y));
    const found = new Map(
      claims.map((item) => {
        const kind = `${item.name} (${KINDS[item.group]}`;
        return [item, headings.add(item.name, `${kind})`, `${kind} of ${entry.specifier})`)];
      }),
    );
    const heads = entry.items.map((item) => found.get(item));
    return { ...entry, own, heads };
  });
  for (const { own, items } of sections) {
    out.push(`- [\`${own.text}\`](#${own.slug}): ${items.length} names`);
  }
  for (const { own, doc, items, heads } of sections) {
    out.push('', `## ${own.text}`, '', doc.replace(/\s*Everything public is named here\./, ''));
    for (const group of Object.keys(KINDS)) {
      const links = items.flatMap((item, i) =>
        item.group === group ? [`[${item.name}](#${heads[i]?.slug})`] : [],
      );
      if (links.length > 0) out.push('', `${group}: ${links.join(' · ')}`);
    }
    for (const [i, { text, doc: prose }] of items.entries()) {
      out.push('', `### ${heads[i]?.text}`, '', '```ts', text, '```');
      if (prose !== '') out.push('', prose);
    }
  }
  return `${out.join('\n')}\n`;
}
