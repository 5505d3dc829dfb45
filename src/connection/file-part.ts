/** Parts of files to be sent, as users name them, checked. Used by the connections that send them. */

import type { FilePart } from './write-queue.js';

/** @throws TypeError or RangeError for wrong arguments of `Connection.sendFile`. */
export function filePart(
  file: number | { readonly fd: number },
  offset: number,
  byteLength: number,
  onDone: ((isSent: boolean) => void) | undefined,
): FilePart {
  const fd = typeof file === 'object' && file !== null ? file.fd : file;
  // A FileHandle that was closed has -1.
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) {
    throw new TypeError(
      `Cannot sendFile: expected an open descriptor or FileHandle, got ${String(fd)}`,
    );
  }
  checkCount('offset', offset);
  checkCount('byteLength', byteLength);
  if (!Number.isSafeInteger(offset + byteLength)) {
    throw new RangeError('Cannot sendFile: offset and byteLength go beyond any file');
  }
  if (onDone !== undefined && typeof onDone !== 'function') {
    throw new TypeError(`Cannot sendFile: expected onDone to be a function, got ${typeof onDone}`);
  }
  return { file: fd, offset, left: byteLength, onDone };
}

function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot sendFile: expected ${name} to be a byte count, got ${value}`);
  }
}
