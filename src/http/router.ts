/**
 * Which handler answers which path: `new Router().get('/users/:id', (request, response, { id }) => …)`. The names of
 * the parameters are known to the compiler; their values are decoded once, and what cannot be decoded is 400.
 *
 * Paths are compared as they were sent: `%2F` is no separator, `/a` and `/a/` are two paths. HEAD is answered by GET's
 * handler, an unknown path with 404, an unknown method of a known path with 405 and Allow.
 */

import { isToken } from './grammar.js';
import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';
import { parsePattern, RouteTree } from './route-tree.js';

type NameOf<Segment extends string> = Segment extends `:${infer Name}`
  ? Name
  : Segment extends `*${infer Name}`
    ? Name
    : never;
type NamesOf<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? NameOf<Segment> | NamesOf<Rest>
  : NameOf<Path>;

/** The parameters of a path: `{ id: string; file: string }` for `/users/:id/*file`. */
export type PathParams<Path extends string> = { readonly [Name in NamesOf<Path>]: string };

export type RouteHandler<Path extends string> = (
  request: HttpRequest,
  response: HttpResponse,
  params: PathParams<Path>,
) => unknown;

type AnyHandler = (
  request: HttpRequest,
  response: HttpResponse,
  params: Readonly<Record<string, string>>,
) => unknown;

interface Route {
  readonly names: readonly string[];
  readonly handler: AnyHandler;
}

/** Objects whose only properties are their own: no peer's path finds `constructor` in them. */
class Params {
  [name: string]: string;
}
Object.setPrototypeOf(Params.prototype, null);
Reflect.deleteProperty(Params.prototype, 'constructor');

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze(new Params());

export class Router {
  readonly #trees = new Map<string, RouteTree<Route>>();
  #notFound: AnyHandler = (_, response) => {
    response.status = 404;
    response.end();
  };

  /** For `httpHandler({ onRequest: router.onRequest })`. */
  readonly onRequest = (request: HttpRequest, response: HttpResponse): unknown =>
    this.handle(request, response);

  get<Path extends string>(path: Path, handler: RouteHandler<Path>): this {
    return this.route('GET', path, handler);
  }

  post<Path extends string>(path: Path, handler: RouteHandler<Path>): this {
    return this.route('POST', path, handler);
  }

  put<Path extends string>(path: Path, handler: RouteHandler<Path>): this {
    return this.route('PUT', path, handler);
  }

  patch<Path extends string>(path: Path, handler: RouteHandler<Path>): this {
    return this.route('PATCH', path, handler);
  }

  delete<Path extends string>(path: Path, handler: RouteHandler<Path>): this {
    return this.route('DELETE', path, handler);
  }

  /** Any method. Throws for a path that is none, and for one that has a handler already. */
  route<Path extends string>(method: string, path: Path, handler: RouteHandler<Path>): this {
    if (typeof method !== 'string' || !isToken(method)) {
      throw new TypeError(`Expected a method, got ${String(method)}`);
    }
    if (typeof handler !== 'function') {
      throw new TypeError(`Expected a handler for ${method} ${path}, got ${typeof handler}`);
    }
    let tree = this.#trees.get(method);
    if (tree === undefined) {
      tree = new RouteTree();
      this.#trees.set(method, tree);
    }
    const pattern = parsePattern(path);
    try {
      tree.insert(pattern, { names: pattern.names, handler: handler as unknown as AnyHandler });
    } catch (error) {
      throw new Error(`Cannot add ${method} ${path}: there is such a route already`, {
        cause: error,
      });
    }
    return this;
  }

  /** Answers requests for which there is no path. 404 by default. */
  otherwise(handler: (request: HttpRequest, response: HttpResponse) => unknown): this {
    this.#notFound = handler;
    return this;
  }

  handle(request: HttpRequest, response: HttpResponse): unknown {
    const { method, resource } = request;
    const tree = this.#trees.get(method);
    if (tree !== undefined && resource.tree === tree) {
      return (resource.route as Route).handler(request, response, NO_PARAMS);
    }
    const { path } = request;
    let route = tree?.find(path);
    let found = tree;
    if (route === undefined && method === 'HEAD') {
      found = this.#trees.get('GET');
      route = found?.find(path);
    }
    if (route === undefined) {
      return this.#refuse(request, response, path);
    }
    const { names, handler } = route;
    if (names.length === 0) {
      // A path without parameters: nothing that is added later comes before it.
      resource.tree = found;
      resource.route = route;
      return handler(request, response, NO_PARAMS);
    }
    const params = decodeParams(names, found!, path);
    if (params === undefined) {
      response.status = 400;
      return response.end();
    }
    request.params = params;
    return handler(request, response, params);
  }

  #refuse(request: HttpRequest, response: HttpResponse, path: string): unknown {
    const allowed = [...this.#trees]
      .filter(([, tree]) => tree.find(path) !== undefined)
      .map(([method]) => method);
    if (allowed.length === 0) {
      return this.#notFound(request, response, NO_PARAMS);
    }
    if (allowed.includes('GET') && !allowed.includes('HEAD')) {
      allowed.push('HEAD');
    }
    response.status = 405;
    return response.field('Allow', allowed.join(', ')).end();
  }
}

/** Undefined for percent signs that encode nothing (RFC 3986 2.1), or no UTF-8. */
function decodeParams(
  names: readonly string[],
  tree: RouteTree<Route>,
  path: string,
): Readonly<Record<string, string>> | undefined {
  const params = new Params();
  for (let i = 0; i < names.length; i += 1) {
    const text = path.slice(tree.starts[i], tree.ends[i]);
    const value = text.includes('%') ? decode(text) : text;
    if (value === undefined) {
      return undefined;
    }
    params[names[i]!] = value;
  }
  return params;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
