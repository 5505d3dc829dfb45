/**
 * OpenSSL, as the node binary exports it (or, where it exports none, as the system has it): the functions that src/tls
 * uses, declared once for each thread. Raw: nothing here checks an address; only src/tls may call it.
 *
 * Two OpenSSLs must never mix: a library that is loaded the plain way would be bound, symbol by symbol, to the one
 * inside of node. So everything comes from the running program, or everything from the system's library with its own
 * dependencies bound first.
 */

import { MillraceError } from '../errors.js';
import { declareFunctions, loadLibc, type NumberCall, type TextCall, viewMemory } from './ffi.js';
import { noteLibrary } from './native-registry.js';
import { type Functions, PROTOTYPES, type TEXTS } from './openssl-prototypes.js';

export type OpenSslCalls = {
  readonly [Name in Exclude<Functions, (typeof TEXTS)[number]>]: NumberCall;
} & { readonly [Name in (typeof TEXTS)[number]]: TextCall };

export interface OpenSsl {
  readonly calls: OpenSslCalls;
  /** Such as `OpenSSL 3.0.19 27 Jan 2026`. */
  readonly version: string;
  /** `node`, or the name of the system's library. */
  readonly origin: string;
  /** An address within the library: two threads that have the same use the same one. */
  readonly identity: number;
}

/** Major version of the interface that the prototypes are of: 3 has been stable since 2021. */
const MAJOR = 3;
const SYSTEM_LIBRARY = 'libssl.so.3';

let loaded: OpenSsl | undefined;

/**
 * The OpenSSL of this process. MILLRACE_OPENSSL chooses: `node`, `system`, or a path to a libssl; by default node's,
 * and the system's where node exports none.
 *
 * @throws MillraceError `ERR_TLS_OPENSSL` when there is none that fits.
 */
export function loadOpenSsl(): OpenSsl {
  if (loaded === undefined) {
    loaded = choose(process.env.MILLRACE_OPENSSL ?? 'auto');
    noteLibrary(loaded.identity);
  }
  return loaded;
}

function choose(wanted: string): OpenSsl {
  const reasons: string[] = [];
  for (const path of candidates(wanted)) {
    const found = tryLoad(path);
    if (typeof found !== 'string') {
      return found;
    }
    reasons.push(found);
  }
  throw new MillraceError(
    'ERR_TLS_OPENSSL',
    `TLS needs OpenSSL ${MAJOR}, and there is none that can be used: ${reasons.join('; ')}`,
  );
}

/** Paths of libraries; null is the running program. */
function candidates(wanted: string): (string | null)[] {
  switch (wanted) {
    case 'auto':
      return [null, SYSTEM_LIBRARY];
    case 'node':
      return [null];
    case 'system':
      return [SYSTEM_LIBRARY];
    default:
      return [wanted];
  }
}

/** What is wrong with it, as a text, if it cannot be used. */
function tryLoad(path: string | null): OpenSsl | string {
  const origin = path ?? 'node';
  let calls: OpenSslCalls;
  try {
    calls = declareFunctions(path, PROTOTYPES) as unknown as OpenSslCalls;
  } catch (error) {
    return `${origin} lacks it (${error instanceof Error ? error.message : String(error)})`;
  }
  const version = calls.OpenSSL_version(0) ?? '';
  if (calls.OpenSSL_version_num() >>> 28 !== MAJOR || !version.startsWith('OpenSSL ')) {
    return `${origin} has ${version}`;
  }
  const own = process.versions.openssl ?? '';
  if (path === null && !version.includes(` ${own.split('+', 1)[0]}`)) {
    return `node says that its OpenSSL is ${own}, and exports ${version}`;
  }
  return { calls, version, origin, identity: calls.TLS_server_method() };
}

/** Objects of OpenSSL that were made and not yet freed by this thread; tests assert that it returns to where it was. */
export const census = { ssl: 0, contexts: 0, stores: 0, regions: 0 };

/**
 * Runs `use` with the address of a copy of `bytes` that ends with a zero byte, and wipes the copy: for keys, and for
 * whatever is kept by address across several calls.
 */
export function withCopy<Result>(
  bytes: Uint8Array,
  use: (address: number, byteLength: number) => Result,
): Result {
  const libc = loadLibc();
  const { length: byteLength } = bytes;
  const address = libc.calloc(1, byteLength + 1);
  if (address === 0) {
    throw new RangeError(`Cannot allocate ${byteLength} bytes: out of memory`);
  }
  census.regions += 1;
  try {
    new Uint8Array(viewMemory(address, byteLength + 1)).set(bytes);
    return use(address, byteLength);
  } finally {
    new Uint8Array(viewMemory(address, byteLength + 1)).fill(0);
    libc.free(address);
    census.regions -= 1;
  }
}

/** A copy of `byteLength` bytes at an address. */
export function copyFrom(address: number, byteLength: number): Buffer {
  const copy = Buffer.allocUnsafe(byteLength);
  if (byteLength > 0) {
    loadLibc().memcpyOut(copy, address, byteLength);
  }
  return copy;
}

/** Takes everything out of this thread's error queue: reasons as texts, the cause first, then what came of it. */
export function takeErrors(calls: OpenSslCalls): string[] {
  const reasons: string[] = [];
  for (let code = calls.ERR_get_error(); code !== 0; code = calls.ERR_get_error()) {
    reasons.push(calls.ERR_reason_error_string(code) ?? `error ${code.toString(16)}`);
  }
  return reasons;
}
