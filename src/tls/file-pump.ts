/**
 * Files over TLS: read piece by piece into the memory from which OpenSSL encrypts, no faster than the transport takes
 * the ciphertext. Until the last piece is encrypted no other write is taken, so that the order is kept, and our end
 * waits. A piece is read with a call (pread(2)), as sendfile would read it: from the page cache, as a rule.
 */

import type { WriteResult } from '../api.js';
import { ENODATA } from '../base/errno.js';
import type { FilePart } from '../connection/write-queue.js';
import { threadKernel } from '../engine/thread-kernel.js';
import { SystemError } from '../errors.js';
import { closeAfterStall } from './closing.js';
import { BLOCKED, FILING, GONE, HELD, NO_WRITE, OPENED, STALLED } from './connection-flags.js';
import { GATHER_BYTES } from './pipe.js';
import { rareOf } from './rare.js';
import { current } from './separation.js';
import type { TlsConnection } from './tls-connection.js';
import { flush, flushGathered, passReceipts, tell, watchDrain } from './write-path.js';

/** Parts of files that one connection may have queued. */
const QUEUED_FILES_MAX = 64;
/** Pieces in one go, so that a fast peer with a long file does not keep the others waiting. */
const PIECES_MAX = 4;

/** See Connection.sendFile. */
export function sendFile(c: TlsConnection, part: FilePart): WriteResult {
  if ((c.flags & (NO_WRITE | OPENED)) !== OPENED || c.ssl === 0) {
    return 'closed';
  }
  const { files } = rareOf(c);
  if ((c.flags & (HELD | STALLED)) !== 0 || files.length >= QUEUED_FILES_MAX) {
    c.flags |= BLOCKED;
    return 'full';
  }
  files.push(part);
  if ((c.flags & FILING) === 0) {
    c.flags |= FILING;
    c.wasQueued = false;
    pumpFiles(c);
  }
  return (c.flags & FILING) !== 0 || c.wasQueued ? 'queued' : 'sent';
}

/** Goes on with the files, as far as the transport has room. */
export function pumpFiles(c: TlsConnection): void {
  const { files } = rareOf(c);
  for (let pieces = 0; files.length > 0; pieces += 1) {
    if ((c.flags & (HELD | STALLED | GONE)) !== 0) {
      // Who lifts these goes on here.
      return;
    }
    if (c.base.queuedBytes > c.limits.highWaterMark) {
      goOn(c, (next) => void c.base.drained().then(next));
      return;
    }
    if (pieces === PIECES_MAX) {
      goOn(c, (next) => c.base.reactor.execute(next));
      return;
    }
    if (!sendPiece(c, files[0]!)) {
      return;
    }
    if (files[0]!.left === 0) {
      const { onDone } = files.shift()!;
      if (onDone !== undefined) {
        tell(c, onDone);
      }
    }
  }
  if ((c.flags & GONE) !== 0) {
    return;
  }
  c.flags &= ~FILING;
  if ((c.flags & (HELD | STALLED)) === 0) {
    passReceipts(c);
    if ((c.flags & BLOCKED) !== 0) {
      watchDrain(c);
    }
  }
  if ((c.flags & STALLED) === 0) {
    closeAfterStall(c);
  }
}

/** Goes on later, once. */
function goOn(c: TlsConnection, when: (next: () => void) => void): void {
  const rare = rareOf(c);
  if (rare.isPumpDue) {
    return;
  }
  rare.isPumpDue = true;
  when(() => {
    rare.isPumpDue = false;
    const now = current(c);
    if ((now.flags & (FILING | GONE)) === FILING) {
      pumpFiles(now);
    }
  });
}

/** Reads and encrypts one piece. False when the connection is given up: the file cannot be read, or is too short. */
function sendPiece(c: TlsConnection, part: FilePart): boolean {
  const { pipe } = c;
  flushGathered(pipe);
  const byteLength = Math.min(part.left, GATHER_BYTES);
  const n = threadKernel().readAt(part.file, part.offset, pipe.gather, 0, byteLength);
  if (n <= 0) {
    const error = new SystemError('pread', n === 0 ? ENODATA : -n, c.remoteAddress);
    c.flags |= GONE;
    rareOf(c).reason = { code: 'error', error };
    c.base.abort();
    return false;
  }
  part.offset += n;
  part.left -= n;
  c.bytesSent += n;
  pipe.gathering = c;
  pipe.gathered = n;
  flush(c);
  return (c.flags & GONE) === 0;
}

/** Bytes of files that are not encrypted yet. */
export function queuedFileBytes(c: TlsConnection): number {
  let bytes = 0;
  for (const { left } of c.rare?.files ?? []) {
    bytes += left;
  }
  return bytes;
}
