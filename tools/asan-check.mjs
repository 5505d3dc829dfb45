/**
 * Writes as many bytes as its argument says into a block of 16, through the library's own FFI. tools/asan.mjs runs it
 * to prove that AddressSanitizer sees our calls; without that, one byte too many goes unnoticed.
 */
// @ts-check

import { loadLibc } from '../.build/src/base/ffi.js';

const byteLength = Number(process.argv[2]);
const libc = loadLibc();
const address = libc.calloc(1, 16);
libc.memcpyIn(address, new Uint8Array(byteLength), byteLength);
libc.free(address);
