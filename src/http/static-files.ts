/**
 * Files below a folder: conditional requests, ranges, variants that were compressed beforehand, and nothing outside of
 * the folder, whatever the path says and whatever links lie in it.
 *
 * A path is decoded once. Segments that are empty, `.` or `..`, or begin with a dot, or hold a null character or a
 * slash, are not looked up at all. A file that was opened is asked for its own path, and must lie in the folder: a link
 * that leads out of it is 404, and no swap of links between a check and its use can change that. What was opened is
 * kept for a moment, under the path that was asked for: see file-cache.ts.
 */

import { realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { type Coding, negotiateCoding } from './accept-encoding.js';
import { checkConditions, rangeOf } from './conditions.js';
import { FileCache, type FileCacheLimits } from './file-cache.js';
import { sendParts } from './file-parts.js';
import { type FileSource, openFile } from './file-source.js';
import { formatHttpDate } from './http-date.js';
import { mediaTypeOf } from './media-types.js';
import { type ByteRange, contentRange, multipartOf, readRanges } from './ranges.js';
import type { HttpRequest } from './request.js';
import type { HttpResponse } from './response.js';
import { type PreparedFields, prepareFields } from './response-fields.js';

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
  /**
   * How long what was opened is kept; then it is opened anew, with all checks. Until then a change of the path (a
   * link, a folder that was moved) may go unseen, and of files up to 64 KiB, which are kept as their bytes, any change.
   * Milliseconds. 1,000; 0: nothing is kept.
   */
  cacheMs?: number;
  /** Files that are kept; larger ones are a descriptor each. For each reactor. 256. */
  cacheFilesMax?: number;
  /** Bytes of small files that are kept. 4,194,304. */
  cacheBytesMax?: number;
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
  readonly #options: StaticOptions;
  /** Cache-Control and Vary, as far as they are wanted. */
  readonly #sameFields: readonly (readonly [string, string])[];
  readonly #rangesMax: number;
  readonly #cacheLimits: FileCacheLimits;
  #boundaries = 0;

  constructor(root: string, options: StaticOptions) {
    const { maxAgeSeconds, immutable = false, rangesMax = RANGES_MAX } = options;
    if (!Number.isInteger(rangesMax) || rangesMax < 1) {
      throw new RangeError(`Expected rangesMax to be a count from 1 on, got ${rangesMax}`);
    }
    this.#rangesMax = rangesMax;
    this.#cacheLimits = {
      cacheMs: countOf(options, 'cacheMs', 1_000, 0),
      cacheFilesMax: countOf(options, 'cacheFilesMax', 256, 1),
      cacheBytesMax: countOf(options, 'cacheBytesMax', 4_194_304, 0),
      readsInThreads: options.sendFile === false,
    };
    if (maxAgeSeconds !== undefined && (!Number.isInteger(maxAgeSeconds) || maxAgeSeconds < 0)) {
      throw new RangeError(`Expected maxAgeSeconds to be a count of seconds, got ${maxAgeSeconds}`);
    }
    this.#root = root;
    this.#options = options;
    const fields: [string, string][] = [];
    if (maxAgeSeconds !== undefined) {
      const age = `public, max-age=${maxAgeSeconds}${immutable ? ', immutable' : ''}`;
      fields.push(['Cache-Control', age]);
    }
    if ((options.precompressed ?? []).length > 0) {
      fields.push(['Vary', 'Accept-Encoding']);
    }
    this.#sameFields = fields;
  }

  async serve(request: HttpRequest, response: HttpResponse, path: string): Promise<void> {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      response.status = 405;
      response.field('Allow', 'GET, HEAD').end();
      return;
    }
    const cache = this.#cacheOf(request);
    const kept = cache === undefined ? undefined : this.#kept(cache, request, path);
    if (kept !== undefined) {
      await this.#send(request, response, kept);
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
    const found = await this.#open(cache, request, path, target);
    if (found === undefined) {
      await this.#notFound(request, response);
    } else if (found === 'folder') {
      await this.#redirect(request, response, isFolder);
    } else {
      await this.#send(request, response, found);
    }
  }

  #cacheOf(request: HttpRequest): FileCache | undefined {
    return this.#cacheLimits.cacheMs === 0
      ? undefined
      : request.shared(this, (reactor) => new FileCache(reactor, this.#cacheLimits));
  }

  /** What was opened a moment ago and would be opened again. */
  #kept(cache: FileCache, request: HttpRequest, path: string): FileSource | undefined {
    let { precompressed: offered = [] } = this.#options;
    const missing = offered.length === 0 ? undefined : cache.missing(path);
    if (missing !== undefined && missing.length > 0) {
      offered = offered.filter((coding) => !missing.includes(coding));
    }
    const coding = negotiateCoding(
      offered.length === 0 ? undefined : request.header('accept-encoding'),
      offered,
    );
    return cache.get(keyOf(path, coding));
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
  async #open(
    cache: FileCache | undefined,
    request: HttpRequest,
    path: string,
    name: string,
  ): Promise<FileSource | 'folder' | undefined> {
    const { precompressed = [] } = this.#options;
    const missing: Coding[] = [];
    const accepted = precompressed.length === 0 ? undefined : request.header('accept-encoding');
    for (;;) {
      const offered = precompressed.filter((coding) => !missing.includes(coding));
      const coding = negotiateCoding(accepted, offered);
      const key = keyOf(path, coding);
      const open = () => this.#openOne(name, coding);
      const found = await (cache === undefined ? open() : cache.open(key, open));
      if (typeof found === 'object') {
        cache?.put(key, found, missing);
      }
      if (coding === undefined || typeof found === 'object') {
        return found;
      }
      missing.push(coding);
    }
  }

  /** With the fields of its responses. */
  async #openOne(
    name: string,
    coding: Coding | undefined,
  ): Promise<FileSource | 'folder' | undefined> {
    const file = await openFile(this.#root, coding === undefined ? name : name + SUFFIXES[coding]);
    if (typeof file !== 'object') {
      return file;
    }
    const { etag, modifiedMs } = file.representation;
    file.type = mediaTypeOf(name);
    file.fields = prepareFields([
      ['ETag', etag],
      ['Last-Modified', formatHttpDate(Math.max(modifiedMs, 0))],
      ['Accept-Ranges', 'bytes'],
      ...this.#sameFields,
    ]);
    file.contentFields = prepareFields({
      'X-Content-Type-Options': 'nosniff',
      ...(coding !== undefined && { 'Content-Encoding': coding }),
    });
    return file;
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

  /** Sends it, and lets it go. */
  async #send(request: HttpRequest, response: HttpResponse, file: FileSource): Promise<void> {
    try {
      const { representation } = file;
      response.fields(file.fields as PreparedFields);
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
      response.fields(file.contentFields as PreparedFields);
      await this.#sendRanges(response, file, ranges);
    } finally {
      file.release();
    }
  }

  async #sendRanges(
    response: HttpResponse,
    file: FileSource,
    ranges: readonly ByteRange[] | undefined,
  ): Promise<void> {
    const { byteLength, etag } = file.representation;
    const { type } = file;
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
      await sendParts(response, file, parts, { usesSendFile, multipart });
      return;
    }
    response.field('Content-Type', type);
    if (ranges !== undefined) {
      response.field('Content-Range', contentRange(first!, byteLength));
    }
    response.field('Content-Length', first!.end - first!.start);
    await sendParts(response, file, parts, { usesSendFile, multipart: undefined });
  }
}

/** Of the file, or of a variant of it: no path has a null character. */
function keyOf(path: string, coding: Coding | undefined): string {
  return coding === undefined ? path : `${path}\0${coding}`;
}

function countOf<Name extends 'cacheMs' | 'cacheFilesMax' | 'cacheBytesMax'>(
  options: StaticOptions,
  name: Name,
  fallback: number,
  least: number,
): number {
  const value = options[name] ?? fallback;
  if (!Number.isSafeInteger(value) || value < least || value > 0x7fff_ffff) {
    throw new RangeError(`Expected ${name} to be a count from ${least} on, got ${String(value)}`);
  }
  return value;
}
