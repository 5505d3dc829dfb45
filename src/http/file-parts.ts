/**
 * Parts of an open file as the body of a response whose length was declared. Small parts are read and written, large
 * ones sent by sendfile(2): that saves two copies, and costs a call, a packet and a callback more. Both are calls that
 * wait for the disk if the page cache has nothing; without sendfile Node's threads do that, for several times the CPU
 * time (measured). A file that got shorter ends the connection, since the length was promised.
 */

import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

import type { FileSource } from './file-source.js';
import type { ByteRange, Multipart } from './ranges.js';
import type { HttpResponse } from './response.js';

/** Up to this size a part is read: it is copied into the same write as the head. */
const READ_MAX = 16_384;
/** Pieces of a part that is read though it is large. */
const PIECE_BYTES = 65_536;

export interface PartsOptions {
  readonly usesSendFile: boolean;
  /** What stands around the parts, if there are several. */
  readonly multipart: Multipart | undefined;
}

/** Resolves when the file is not needed any more. */
export async function sendParts(
  response: HttpResponse,
  { content, handle }: FileSource,
  parts: readonly ByteRange[],
  { usesSendFile, multipart }: PartsOptions,
): Promise<void> {
  if (response.request.method === 'HEAD') {
    response.end();
    return;
  }
  if (content !== undefined && multipart === undefined) {
    const { start, end } = parts[0]!;
    response.end(content.subarray(start, end));
    return;
  }
  for (let i = 0; i < parts.length; i += 1) {
    const part = parts[i]!;
    const isLast = multipart === undefined;
    if (multipart !== undefined && !(await response.writeAll(multipart.heads[i]!))) {
      return;
    }
    const isWhole =
      content !== undefined
        ? await response.writeAll(content.subarray(part.start, part.end))
        : usesSendFile && part.end - part.start > READ_MAX
          ? await response.sendFile(handle!, part.start, part.end - part.start)
          : await readPart(response, handle!, part, { isLast, isInThreads: !usesSendFile });
    if (!isWhole) {
      // Nothing is missing that could still come: this says so to the client, if it is there.
      response.end();
      return;
    }
  }
  response.end(multipart?.tail);
}

/** Piece by piece, each when the one before it has been taken. False if it is not all there, or the client is gone. */
async function readPart(
  response: HttpResponse,
  handle: FileHandle,
  { start, end }: ByteRange,
  { isLast, isInThreads }: { isLast: boolean; isInThreads: boolean },
): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, end - start));
  for (let at = start; at < end; ) {
    const wanted = Math.min(buffer.length, end - at);
    const bytesRead = isInThreads
      ? (await handle.read(buffer, 0, wanted, at)).bytesRead
      : readSync(handle.fd, buffer, 0, wanted, at);
    if (bytesRead === 0) {
      return false;
    }
    at += bytesRead;
    const piece = buffer.subarray(0, bytesRead);
    if (isLast && at === end) {
      // Often the only one: it goes out with the head. The buffer is not used again, so that it needs no copy.
      response.end(piece);
    } else if (!(await response.writeAll(piece))) {
      return false;
    }
  }
  return true;
}
