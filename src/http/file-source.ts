/**
 * A file of a folder, opened: nothing outside of the folder is, whatever links say, since an opened file is asked where
 * it lies. Shared by the requests that it is sent for; whoever lets it go last closes it.
 */

import { constants, fstatSync, readSync } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { sep } from 'node:path';

import type { Representation } from './conditions.js';
import type { PreparedFields } from './response-fields.js';

/** Without waiting for a writer, should it be a pipe. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK;
/** What a system answers for a name under which there is no file for us. */
const NOT_THERE = ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'EPERM'];

type Stats = Awaited<ReturnType<typeof statOf>>;

export class FileSource {
  readonly representation: Representation;
  /** Mostly undefined once `content` has all of it. */
  handle: FileHandle | undefined;
  content: Buffer | undefined;
  readonly #stats: Stats;
  #users = 1;
  /** Fields of each response of it, and of those with its content; made by who sends it. */
  fields: PreparedFields | undefined;
  contentFields: PreparedFields | undefined;
  /** Content-Type. */
  type = '';

  constructor(handle: FileHandle, stats: Stats) {
    this.handle = handle;
    this.#stats = stats;
    this.representation = {
      etag: `"${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}"`,
      modifiedMs: Number(stats.mtimeNs / 1_000_000n),
      byteLength: Number(stats.size),
    };
  }

  retain(): this {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) {
      this.#close();
    }
  }

  #close(): void {
    const { handle } = this;
    this.handle = undefined;
    // Of a file that was only read nothing can be lost.
    handle?.close().catch(() => {});
  }

  /** Whether the open file is still as it was; what was read of it cannot change. */
  isUnchanged(): boolean {
    return this.handle === undefined || this.#is(fstatSync(this.handle.fd, { bigint: true }));
  }

  #is({ size, mtimeNs, ctimeNs }: Pick<Stats, 'size' | 'mtimeNs' | 'ctimeNs'>): boolean {
    const stats = this.#stats;
    return size === stats.size && mtimeNs === stats.mtimeNs && ctimeNs === stats.ctimeNs;
  }

  /**
   * Reads all of it, unless it changes meanwhile, and closes it if nobody else uses it. A disk that has to be waited
   * for holds up the reactor; for others this costs less than asking a thread.
   */
  load(): void {
    const { fd } = this.handle!;
    const buffer = this.#buffer();
    const bytesRead = readSync(fd, buffer, 0, buffer.length, 0);
    this.#keep(buffer, bytesRead, fstatSync(fd, { bigint: true }));
  }

  /** The same by Node's threads. */
  async loadInThreads(): Promise<void> {
    const handle = this.handle!;
    const buffer = this.#buffer();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    this.#keep(buffer, bytesRead, await statOf(handle));
  }

  /** With room for one byte more than there should be: nothing may be behind it. */
  #buffer(): Buffer {
    return Buffer.allocUnsafeSlow(this.representation.byteLength + 1);
  }

  #keep(buffer: Buffer, bytesRead: number, stats: Stats): void {
    const { byteLength } = this.representation;
    if (bytesRead === byteLength && this.#is(stats)) {
      this.content = buffer.subarray(0, byteLength);
      if (this.#users === 1) {
        this.#close();
      }
    }
  }
}

/** Undefined if there is none, or not in `root`. The caller releases it. */
export async function openFile(
  root: string,
  name: string,
): Promise<FileSource | 'folder' | undefined> {
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
    const stats = await statOf(handle);
    const real = await readlink(`/proc/self/fd/${handle.fd}`);
    const isInside = real === root || real.startsWith(root.endsWith(sep) ? root : root + sep);
    if (isInside && stats.isFile()) {
      return new FileSource(handle, stats);
    }
    await handle.close();
    return isInside && stats.isDirectory() ? 'folder' : undefined;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function statOf(handle: FileHandle) {
  return handle.stat({ bigint: true });
}
