/**
 * Files below a folder: conditional requests, ranges, variants that were compressed beforehand, and nothing outside of
 * the folder, whatever the path says and whatever links lie in it.
 *
 * A path is decoded once. Segments that are empty, `.` or `..`, or begin with a dot, or hold a null character or a
 * slash, are not looked up at all. A file that was opened is asked for its own path, and must lie in the folder: a link
 * that leads out of it is 404, and no swap of links between a check and its use can change that.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { type Coding, negotiateCoding } from './accept-encoding.js';
import { checkConditions, type Representation, rangeOf } from './conditions.js';
import { sendParts } from './file-parts.js';
import { formatHttpDate } from './http-date.js';
import { mediaTypeOf } from './media-types.js';
import { type ByteRange, contentRange, multipartOf, readRanges } from './ranges.js';
import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';

export interface StaticOptions {
  /** The file of a folder. `index.html`; empty: none. */
  index?: string;
  /** Variants to look for beside a file, best first: `app.js.br` for `app.js`. None by default. */
  precompressed?: readonly Coding[];
  /** Cache-Control: max-age. None by default. */
  maxAgeSeconds?: number;
  /** Cache-Control: immutable, for files whose names change with their contents. */
  immutable?: boolean;
  /** Ranges in one request; more are answered with the whole file. 16; 1: never several parts in one response. */
  rangesMax?: number;
  /**
   * Send with sendfile(2), which costs the least CPU time. true. Off, files are read by Node's thread pool, piece by
   * piece: for disks so slow that they would hold up the reactor.
   */
  sendFile?: boolean;
  /** Files and folders whose names begin with a dot. false. */
  dotFiles?: boolean;
  /** Answers what is not there. 404 by default. */
  otherwise?: (request: HttpRequest, response: HttpResponse) => unknown;
}

export type StaticHandler = (
  request: HttpRequest,
  response: HttpResponse,
  /** Below the folder, not decoded; the request's whole path if it is not given. */
  path?: string,
) => Promise<void>;

const SUFFIXES: Record<Coding, string> = { br: '.br', zstd: '.zst', gzip: '.gz' };
const RANGES_MAX = 16;
/** Without waiting for a writer, should it be a pipe. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK;
/** What a system answers for a name under which there is no file for us. */
const NOT_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'EPERM'];

interface OpenFile {
  readonly handle: FileHandle;
  readonly representation: Representation;
  readonly coding: Coding | undefined;
}

/** Resolves when the folder was found. Rejects with the system's error if it is not there. */
export async function staticFiles(
  root: string,
  options: StaticOptions = {},
): Promise<StaticHandler> {
  const files = new StaticFiles(await realpath(root), options);
  return (request, response, path) => files.serve(request, response, path ?? request.path);
}

class StaticFiles {
  readonly #root: string;
  readonly #prefix: string;
  readonly #options: StaticOptions;
  readonly #cacheControl: string;
  readonly #rangesMax: number;
  #boundaries = 0;

  constructor(root: string, options: StaticOptions) {
    const { maxAgeSeconds, immutable = false, rangesMax = RANGES_MAX } = options;
    if (!Number.isInteger(rangesMax) || rangesMax < 1) {
      throw new RangeError(`Expected rangesMax to be a count from 1 on, got ${rangesMax}`);
    }
    this.#rangesMax = rangesMax;
    if (maxAgeSeconds !== undefined && (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 0)) {
      throw new RangeError(`Expected maxAgeSeconds to be a count of seconds, got ${maxAgeSeconds}`);
    }
    this.#root = root;
    this.#prefix = root.endsWith(sep) ? root : root + sep;
    this.#options = options;
    this.#cacheControl =
      maxAgeSeconds === undefined
        ? ''
        : `public, max-age=${maxAgeSeconds}${immutable ? ', immutable' : ''}`;
  }

  async serve(request: HttpRequest, response: HttpResponse, path: string): Promise<void> {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      response.status = 405;
      response.field('Allow', 'GET, HEAD').end();
      return;
    }
    const segments = this.#segmentsOf(path);
    if (segments === undefined) {
      await this.#notFound(request, response);
      return;
    }
    const name = join(this.#root, ...segments);
    const isFolder = segments.length === 0 || path.endsWith('/');
    const { index = 'index.html' } = this.#options;
    if (isFolder && index === '') {
      await this.#notFound(request, response);
      return;
    }
    const target = isFolder ? join(name, index) : name;
    const found = await this.#open(request, target);
    if (found === undefined) {
      await this.#notFound(request, response);
    } else if (found === 'folder') {
      await this.#redirect(request, response, isFolder);
    } else {
      await this.#send(request, response, target, found);
    }
  }

  /** Undefined for a path under which nothing can be. */
  #segmentsOf(path: string): string[] | undefined {
    let decoded: string;
    try {
      decoded = decodeURIComponent(path);
    } catch {
      return undefined;
    }
    // An encoded slash would be a separator to the file system, and was none to whoever routed the request.
    if (decoded.includes('\0') || /%2f/i.test(path)) {
      return undefined;
    }
    const segments = decoded.replace(/^\//, '').replace(/\/$/, '').split('/');
    if (segments.length === 1 && segments[0] === '') {
      return decoded === '//' ? undefined : [];
    }
    const isGood = segments.every(
      (segment) =>
        segment !== '' &&
        segment !== '.' &&
        segment !== '..' &&
        (this.#options.dotFiles === true || !segment.startsWith('.')),
    );
    return isGood ? segments : undefined;
  }

  /** The file, or the best of its variants that there are. */
  async #open(request: HttpRequest, name: string): Promise<OpenFile | 'folder' | undefined> {
    const { precompressed = [] } = this.#options;
    let offered = precompressed;
    for (;;) {
      const coding = negotiateCoding(request.header('accept-encoding'), offered);
      const suffix = coding === undefined ? '' : SUFFIXES[coding];
      const found = await this.#openOne(name + suffix, coding);
      if (coding === undefined || typeof found === 'object') {
        return found;
      }
      offered = offered.filter((other) => other !== coding);
    }
  }

  async #openOne(
    name: string,
    coding: Coding | undefined,
  ): Promise<OpenFile | 'folder' | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(name, READ);
    } catch (error) {
      if (NOT_THERE.includes((error as NodeJS.ErrnoException).code ?? '')) {
        return undefined;
      }
      throw error;
    }
    try {
      const stats = await handle.stat({ bigint: true });
      const real = await readlink(`/proc/self/fd/${handle.fd}`);
      const isInside = real === this.#root || real.startsWith(this.#prefix);
      if (isInside && stats.isFile()) {
        // From here on the caller closes it.
        const representation = {
          etag: `"${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}"`,
          modifiedMs: Number(stats.mtimeMs),
          byteLength: Number(stats.size),
        };
        return { handle, representation, coding };
      }
      await handle.close();
      return isInside && stats.isDirectory() ? 'folder' : undefined;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #notFound(request: HttpRequest, response: HttpResponse): Promise<void> {
    if (this.#options.otherwise !== undefined) {
      await this.#options.otherwise(request, response);
      return;
    }
    response.status = 404;
    response.end();
  }

  /** A folder without its slash: relative links in its index would not work. */
  async #redirect(request: HttpRequest, response: HttpResponse, isFolder: boolean): Promise<void> {
    const { path, query } = request;
    if (isFolder || (this.#options.index ?? 'index.html') === '' || path.startsWith('//')) {
      await this.#notFound(request, response);
      return;
    }
    response.status = 308;
    response.field('Location', `${path}/${query === '' ? '' : `?${query}`}`).end();
  }

  async #send(
    request: HttpRequest,
    response: HttpResponse,
    name: string,
    { handle, representation, coding }: OpenFile,
  ): Promise<void> {
    try {
      this.#addFields(response, representation);
      const status = checkConditions(request, representation);
      if (status !== undefined) {
        response.status = status;
        response.end();
        return;
      }
      // Ranges are defined for GET alone (RFC 9110 14.2).
      const field = request.method === 'GET' ? rangeOf(request, representation) : undefined;
      const { byteLength } = representation;
      const ranges = readRanges(field, byteLength, this.#rangesMax);
      if (ranges === 'unsatisfiable') {
        response.status = 416;
        response.field('Content-Range', `bytes */${byteLength}`).end();
        return;
      }
      response.field('X-Content-Type-Options', 'nosniff');
      if (coding !== undefined) {
        response.field('Content-Encoding', coding);
      }
      await this.#sendRanges(response, mediaTypeOf(name), handle, representation, ranges);
    } finally {
      await handle.close();
    }
  }

  async #sendRanges(
    response: HttpResponse,
    type: string,
    handle: FileHandle,
    { byteLength, etag }: Representation,
    ranges: readonly ByteRange[] | undefined,
  ): Promise<void> {
    const usesSendFile = this.#options.sendFile ?? true;
    const parts = ranges ?? [{ start: 0, end: byteLength }];
    const [first] = parts;
    if (ranges !== undefined) {
      response.status = 206;
    }
    if (parts.length > 1) {
      this.#boundaries += 1;
      // Nobody knows the number before, and the file of that name does not know its own tag.
      const boundary = `${etag.slice(1, -1)}-${this.#boundaries.toString(36)}`;
      const multipart = multipartOf(parts, { type, byteLength, boundary });
      response.field('Content-Type', multipart.contentType);
      response.field('Content-Length', multipart.byteLength);
      await sendParts(response, handle, parts, { usesSendFile, multipart });
      return;
    }
    response.field('Content-Type', type);
    if (ranges !== undefined) {
      response.field('Content-Range', contentRange(first!, byteLength));
    }
    response.field('Content-Length', first!.end - first!.start);
    await sendParts(response, handle, parts, { usesSendFile, multipart: undefined });
  }

  #addFields(response: HttpResponse, { etag, modifiedMs }: Representation): void {
    response.field('ETag', etag);
    response.field('Last-Modified', formatHttpDate(Math.max(modifiedMs, 0)));
    response.field('Accept-Ranges', 'bytes');
    if (this.#cacheControl !== '') {
      response.field('Cache-Control', this.#cacheControl);
    }
    if ((this.#options.precompressed ?? []).length > 0) {
      response.field('Vary', 'Accept-Encoding');
    }
  }
}
