/** Frees what a thread that is gone had of native libraries: see native-registry.ts. */

import { loadLibc } from './ffi.js';
import { Native, type NativeObject, type NativeRegistry } from './native-registry.js';
import { loadOpenSsl, type OpenSslCalls } from './openssl.js';
import { endStreamAt } from './zlib.js';

/** Freed at once; freeing an object of OpenSSL's takes about as long as a message. */
const BATCH = 512;

/**
 * Frees everything noted there, some at once and the rest by and by: `defer` calls back soon. The thread that wrote it
 * must have ended. What is of another OpenSSL than this thread's is left alone, since nobody here may free it.
 */
export function reapNatives(registry: NativeRegistry, defer: (run: () => void) => void): void {
  const { library } = registry;
  const objects = registry.takeAll();
  if (objects.length === 0) {
    return;
  }
  const calls = library === 0 ? undefined : openSslAt(library);
  let at = 0;
  const run = (): void => {
    for (const end = Math.min(objects.length, at + BATCH); at < end; at += 1) {
      free(objects[at], calls);
    }
    if (at < objects.length) {
      defer(run);
    }
  };
  run();
}

/** This thread's OpenSSL, if it is that one. */
function openSslAt(library: number): OpenSslCalls | undefined {
  try {
    const { calls, identity } = loadOpenSsl();
    return identity === library ? calls : undefined;
  } catch {
    return undefined;
  }
}

function free({ kind, address }: NativeObject, calls: OpenSslCalls | undefined): void {
  switch (kind) {
    case Native.SSL:
      calls?.SSL_free(address);
      return;
    case Native.SSL_CTX:
      calls?.SSL_CTX_free(address);
      return;
    case Native.X509_STORE:
      calls?.X509_STORE_free(address);
      return;
    case Native.BIO:
      calls?.BIO_free(address);
      return;
    case Native.INFLATE:
    case Native.DEFLATE:
      endStreamAt(address, kind === Native.INFLATE);
      return;
    default:
      loadLibc().free(address);
  }
}
