/** The rule of tools/tidy.mjs for Markdown: links inside the repository lead to files and headings that exist. */
// @ts-check

import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import { lineAt } from './source-text.mjs';

/** `[text](target "title")` and `[name]: target`. */
const LINK = /\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm;

/**
 * @param {string} path The Markdown file.
 * @param {Map<string, string | undefined>} texts All files of the tree.
 * @param {string} root Absolute.
 * @returns {import('./tidy.mjs').Violation[]}
 */
export function checkLinks(path, texts, root) {
  const text = withoutCode(texts.get(path) ?? '');
  return [...text.matchAll(LINK)].flatMap((match) => {
    const link = match[1] ?? match[2] ?? '';
    const missing = missingPart(path, link, texts, root);
    if (missing === undefined) return [];
    const message = `link to ${link}: there is no such ${missing}`;
    return [{ path, line: lineAt(text, match.index), rule: 'link', message }];
  });
}

/**
 * What a link lacks: the file, the heading or nothing. Links to other places are not followed.
 *
 * @param {string} path
 * @param {string} link
 * @param {Map<string, string | undefined>} texts
 * @param {string} root
 */
function missingPart(path, link, texts, root) {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : normalize(join(dirname(path), decodeURI(file)));
  if (target.startsWith('..') || !existsSync(join(root, target))) return 'file';
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return headingsOf(texts.get(target) ?? '').has(anchor) ? undefined : 'heading';
}

/**
 * Markdown with the insides of code blanked out.
 *
 * @param {string} text
 */
function withoutCode(text) {
  return text
    .replace(/^( *)(```|~~~)[^\n]*\n[\s\S]*?^\1\2/gm, (block) => block.replace(/[^\n]/g, ' '))
    .replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));
}

/**
 * The anchors that GitHub makes of headings.
 *
 * @param {string} text
 */
function headingsOf(text) {
  const titles = [...text.matchAll(/^#{1,6}\s+(.+?)\s*$/gm)].map((match) => match[1] ?? '');
  return new Set(
    titles.map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}
