/**
 * Reads TypeScript and JavaScript as text, for tools/tidy.mjs: tells code from comments and strings, and finds imports
 * and functions. It is no parser. TypeScript 7 offers one but marks it unstable, and tidy must run before anything is
 * installed. What is missed here (such as a regular expression right after a closing brace) makes a rule less strict.
 */
// @ts-check

/** After one of these a slash begins a regular expression, although it follows a word. */
const WORDS_BEFORE_REGEXP = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void']);

/** Words before parentheses and a block that do not make a function. */
const CONTROL_WORDS = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await']);

/** What precedes a brace that opens an object type, and not the body after a return type. */
const EXPECTS_TYPE = /([:|&<,]|=>|\b(is|keyof|readonly|asserts|extends|infer))\s*$/;

const IMPORT =
  /\b(import|export)\b(\s+type\b(?!\s+from\b))?(?:[\w\s{},*$]*?\bfrom\s*|\s*|\s*\(\s*)(['"])/g;

/**
 * @typedef {object} Source
 * @property {string} text The file.
 * @property {string} code The same, with comments and the insides of strings and regular expressions blanked out.
 * @property {string} comments The same, with everything but comments blanked out. Line ends are kept in both.
 */

/**
 * @param {string} text
 * @returns {Source}
 */
export function readSource(text) {
  const code = text.split('');
  const comments = text.replace(/[^\n]/g, ' ').split('');
  /** Depths of braces at which a template literal goes on. @type {number[]} */
  const templates = [];
  let depth = 0;
  let i = text.startsWith('#!') ? blank(code, 0, endOfLine(text, 0)) : 0;
  while (i < text.length) {
    const char = text.charAt(i);
    if (text.startsWith('//', i) || text.startsWith('/*', i)) {
      const end = text[i + 1] === '/' ? endOfLine(text, i) : endOfBlockComment(text, i);
      for (let k = i; k < end; k++) comments[k] = text.charAt(k);
      i = blank(code, i, end);
    } else if (char === "'" || char === '"') {
      i = blank(code, i + 1, closingQuote(text, i, char)) + 1;
    } else if (char === '`' || (char === '}' && templates.at(-1) === depth)) {
      if (char === '}') templates.pop();
      const end = blank(code, i + 1, endOfTemplatePart(text, i + 1));
      if (text[end] === '$') templates.push(depth);
      i = end + (text[end] === '$' ? 2 : 1);
    } else if (char === '/' && isRegExpStart(text, code, i)) {
      i = blank(code, i + 1, closingSlash(text, i)) + 1;
    } else {
      if (char === '{') depth++;
      if (char === '}') depth--;
      i++;
    }
  }
  return { text, code: code.join(''), comments: comments.join('') };
}

/**
 * The number of the line, from 1, that holds this position.
 *
 * @param {string} text
 * @param {number} position
 */
export function lineAt(text, position) {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < position; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

/**
 * The modules that a file names: static and dynamic imports, exports from elsewhere, and types such as `import('x').T`.
 *
 * @param {Source} source
 * @returns {{ specifier: string, line: number, isTypeOnly: boolean }[]}
 */
export function findImports({ text, code }) {
  return [...code.matchAll(IMPORT)].map((match) => {
    const start = match.index + match[0].length;
    const before = code.slice(Math.max(0, match.index - 20), match.index);
    const isImportType = match[0].includes('(') && /([:|&<]|\btypeof)\s*$/.test(before);
    return {
      specifier: text.slice(start, text.indexOf(/** @type {string} */ (match[3]), start)),
      line: lineAt(text, match.index),
      isTypeOnly: match[2] !== undefined || isImportType,
    };
  });
}

/**
 * Functions, methods and arrow functions that have a body in braces.
 *
 * @param {Source} source
 * @returns {{ name: string, line: number, lineCount: number }[]}
 */
export function findFunctions({ text, code }) {
  const found = [];
  for (const match of code.matchAll(/=>\s*\{|\(/g)) {
    const isArrow = match[0] !== '(';
    const name = isArrow ? 'arrow function' : nameBefore(code, match.index);
    if (name === undefined) continue;
    const open = isArrow
      ? match.index + match[0].length - 1
      : bodyAfter(code, closingBracket(code, match.index) + 1);
    if (open === -1) continue;
    const line = lineAt(text, match.index);
    found.push({ name, line, lineCount: lineAt(text, closingBracket(code, open)) - line + 1 });
  }
  return found;
}

/**
 * The function's name before an opening parenthesis; undefined if these cannot be its parameters.
 *
 * @param {string} code
 * @param {number} position
 */
function nameBefore(code, position) {
  const before = code.slice(Math.max(0, position - 200), position);
  const name = before.match(/([\w$#]+)\s*(<[^()]*>)?\s*$/)?.[1];
  if (name === undefined || CONTROL_WORDS.has(name) || /\bextends\s+[\w$.]+$/.test(before)) {
    return undefined;
  }
  return name === 'function' ? 'anonymous function' : name;
}

/**
 * The position of the body's brace after parameters and perhaps a return type, or -1 if there is none.
 *
 * @param {string} code
 * @param {number} start
 */
function bodyAfter(code, start) {
  const first = code.slice(start).search(/\S/) + start;
  if (code[first] === '{') return first;
  if (code[first] !== ':') return -1;
  let angles = 0;
  for (let i = first + 1; i < code.length; i++) {
    const char = code.charAt(i);
    if (char === '{' && !EXPECTS_TYPE.test(code.slice(Math.max(0, i - 20), i))) return i;
    if ('({['.includes(char)) i = closingBracket(code, i);
    else if (char === '<') angles++;
    else if (char === '>' && code[i - 1] !== '=') angles--;
    else if (';)]}'.includes(char) || (char === ',' && angles === 0)) return -1;
    else if (char === '=' && code[i + 1] !== '>') return -1;
  }
  return -1;
}

/**
 * @param {string} code
 * @param {number} open Position of a bracket of any kind.
 */
function closingBracket(code, open) {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ('({['.includes(code.charAt(i))) depth++;
    else if (')}]'.includes(code.charAt(i)) && --depth === 0) return i;
  }
  return code.length;
}

/**
 * Blanks a range, keeping line ends; answers its end.
 *
 * @param {string[]} chars
 * @param {number} from
 * @param {number} to
 */
function blank(chars, from, to) {
  for (let i = from; i < to && i < chars.length; i++) if (chars[i] !== '\n') chars[i] = ' ';
  return to;
}

/**
 * @param {string} text
 * @param {number} from
 */
function endOfLine(text, from) {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/**
 * @param {string} text
 * @param {number} from
 */
function endOfBlockComment(text, from) {
  const end = text.indexOf('*/', from + 2);
  return end === -1 ? text.length : end + 2;
}

/**
 * @param {string} text
 * @param {number} from Position of the opening quote.
 * @param {string} quote
 */
function closingQuote(text, from, quote) {
  let i = from + 1;
  while (i < text.length && text[i] !== quote && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1;
  return i;
}

/**
 * Where the text of a template literal stops: at the closing backtick or at the dollar sign of a placeholder.
 *
 * @param {string} text
 * @param {number} from
 */
function endOfTemplatePart(text, from) {
  let i = from;
  while (i < text.length && text[i] !== '`' && !text.startsWith('${', i)) {
    i += text[i] === '\\' ? 2 : 1;
  }
  return i;
}

/**
 * @param {string} text
 * @param {number} from Position of the opening slash.
 */
function closingSlash(text, from) {
  let isInClass = false;
  let i = from + 1;
  while (i < text.length && text[i] !== '\n' && (isInClass || text[i] !== '/')) {
    if (text[i] === '[') isInClass = true;
    if (text[i] === ']') isInClass = false;
    i += text[i] === '\\' ? 2 : 1;
  }
  return i;
}

/**
 * Whether a slash begins a regular expression: it does unless a value stands before it.
 *
 * @param {string} text
 * @param {string[]} code What comes before the position is already blanked.
 * @param {number} position
 */
function isRegExpStart(text, code, position) {
  let i = position - 1;
  while (i >= 0 && /\s/.test(/** @type {string} */ (code[i]))) i--;
  if (i < 0 || !/[\w$)\]}'"`]/.test(/** @type {string} */ (code[i]))) return true;
  const word = text.slice(Math.max(0, i - 9), i + 1).match(/\w+$/)?.[0];
  return word !== undefined && WORDS_BEFORE_REGEXP.has(word);
}
