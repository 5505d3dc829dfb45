/**
 * Paths to values by a radix tree: literal text is compressed into prefixes, a parameter stands for one segment, a
 * wildcard for the rest. What is literal wins over a parameter, a parameter over a wildcard. A look-up visits each node
 * at most once, allocates nothing, and leaves the parameters as positions.
 */

const SLASH = 0x2f;
/** Parameters of one path. */
export const PARAMETERS_MAX = 16;

class Node<Value> {
  prefix: string;
  /** By the first character of their prefixes, which all differ. */
  children: Node<Value>[] = [];
  /** The node after a segment of any text. */
  parameter: Node<Value> | undefined = undefined;
  /** The value for all that follows. */
  wildcard: Value | undefined = undefined;
  value: Value | undefined = undefined;

  constructor(prefix: string) {
    this.prefix = prefix;
  }
}

/** What a pattern consists of: literal text, and the names of its parameters in order. */
export interface Pattern {
  /** Literal parts; between two of them is a parameter. */
  readonly literals: readonly string[];
  readonly names: readonly string[];
  /** Whether the last parameter is a wildcard. */
  readonly isWild: boolean;
}

/** Reads `/users/:id/files/*path`. Throws TypeError for what is no pattern. */
export function parsePattern(pattern: string): Pattern {
  if (typeof pattern !== 'string' || pattern.charCodeAt(0) !== SLASH) {
    throw new TypeError(`Expected a path that begins with a slash, got ${String(pattern)}`);
  }
  const literals: string[] = [''];
  const names: string[] = [];
  let isWild = false;
  for (const segment of pattern.slice(1).split('/')) {
    if (isWild) {
      throw new TypeError(`Nothing may follow the wildcard in ${pattern}`);
    }
    literals[literals.length - 1] += '/';
    const kind = segment[0];
    if (kind !== ':' && kind !== '*') {
      if (/[:*?#]/.test(segment)) {
        throw new TypeError(`A parameter is a whole segment of its own: ${pattern}`);
      }
      literals[literals.length - 1] += segment;
      continue;
    }
    const name = segment.slice(1);
    isWild = kind === '*';
    if (!/^[A-Za-z_]\w*$/.test(name) || name === '__proto__' || names.includes(name)) {
      throw new TypeError(`Expected a name of its own for each parameter in ${pattern}`);
    }
    names.push(name);
    literals.push('');
  }
  if (names.length > PARAMETERS_MAX) {
    throw new RangeError(`${pattern} has more than ${PARAMETERS_MAX} parameters`);
  }
  return { literals, names, isWild };
}

export class RouteTree<Value> {
  readonly #root = new Node<Value>('');
  /** After `find`: where the value of each parameter starts and ends in the path. */
  readonly starts = new Int32Array(PARAMETERS_MAX);
  readonly ends = new Int32Array(PARAMETERS_MAX);

  /** Throws an Error if there is a value for an equal pattern, whatever its parameters are called. */
  insert({ literals, names, isWild }: Pattern, value: Value): void {
    let node = this.#root;
    for (let i = 0; i < literals.length; i += 1) {
      node = insertLiteral(node, literals[i]!);
      const isParameter = i < names.length;
      if (isParameter && isWild && i === names.length - 1) {
        if (node.wildcard !== undefined) {
          throw new Error('There is a route for this path already');
        }
        node.wildcard = value;
        return;
      }
      if (isParameter) {
        node.parameter ??= new Node<Value>('');
        node = node.parameter;
      }
    }
    if (node.value !== undefined) {
      throw new Error('There is a route for this path already');
    }
    node.value = value;
  }

  find(path: string): Value | undefined {
    return this.#search(this.#root, path, 0, 0);
  }

  /** Below a node whose own prefix has been matched. */
  #search(node: Node<Value>, path: string, at: number, depth: number): Value | undefined {
    if (at === path.length && node.value !== undefined) {
      return node.value;
    }
    const code = path.charCodeAt(at);
    for (const child of node.children) {
      const { prefix } = child;
      if (prefix.charCodeAt(0) === code) {
        if (path.startsWith(prefix, at)) {
          const found = this.#search(child, path, at + prefix.length, depth);
          if (found !== undefined) {
            return found;
          }
        }
        break;
      }
    }
    if (node.parameter !== undefined && at < path.length && code !== SLASH) {
      const slash = path.indexOf('/', at);
      const end = slash < 0 ? path.length : slash;
      const found = this.#search(node.parameter, path, end, depth + 1);
      if (found !== undefined) {
        this.starts[depth] = at;
        this.ends[depth] = end;
        return found;
      }
    }
    if (node.wildcard !== undefined) {
      this.starts[depth] = at;
      this.ends[depth] = path.length;
    }
    return node.wildcard;
  }
}

/** The node that stands for `text` below `node`; splits what has a part of it in common. */
function insertLiteral<Value>(node: Node<Value>, text: string): Node<Value> {
  if (text === '') {
    return node;
  }
  const i = node.children.findIndex(({ prefix }) => prefix[0] === text[0]);
  const child = node.children[i];
  if (child === undefined) {
    const made = new Node<Value>(text);
    node.children.push(made);
    return made;
  }
  let shared = 1;
  while (
    shared < text.length &&
    shared < child.prefix.length &&
    text[shared] === child.prefix[shared]
  ) {
    shared += 1;
  }
  if (shared === child.prefix.length) {
    return insertLiteral(child, text.slice(shared));
  }
  const parent = new Node<Value>(text.slice(0, shared));
  child.prefix = child.prefix.slice(shared);
  parent.children.push(child);
  node.children[i] = parent;
  return insertLiteral(parent, text.slice(shared));
}
