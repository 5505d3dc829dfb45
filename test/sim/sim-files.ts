/**
 * The file system of a world, as far as Unix sockets need one: directories, plain files and socket files by path, and
 * beside it the abstract names, which are no files. A socket file outlives its socket, as on Linux.
 */

import { EADDRINUSE, ECONNREFUSED, EISDIR, ENOENT } from '../../src/base/errno.js';
import type { SimSocket } from './sim-socket.js';

interface Entry {
  readonly kind: 'directory' | 'file' | 'socket';
  mode: number;
  /** The socket bound to it, while it lives. */
  socket: SimSocket | undefined;
}

export class SimFiles {
  readonly #entries = new Map<string, Entry>();
  readonly #abstract = new Map<string, SimSocket>();
  #nextName = 1;

  constructor() {
    for (const path of ['', '/', '.', '/tmp', '/run']) this.addDirectory(path);
  }

  addDirectory(path: string): void {
    this.#entries.set(path, { kind: 'directory', mode: 0o755, socket: undefined });
  }

  addFile(path: string): void {
    this.#entries.set(path, { kind: 'file', mode: 0o644, socket: undefined });
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** The permissions of a file, or undefined. */
  modeOf(path: string): number | undefined {
    return this.#entries.get(path)?.mode;
  }

  /** A free abstract name, for a bind without one: NUL and five digits (unix(7), "Autobind feature"). */
  freeName(): string {
    return `\0${(this.#nextName++).toString(16).padStart(5, '0')}`;
  }

  bind(name: string, socket: SimSocket): number {
    if (name.charCodeAt(0) === 0) {
      if (this.#abstract.has(keyOf(name, socket.kind))) return -EADDRINUSE;
      this.#abstract.set(keyOf(name, socket.kind), socket);
      return 0;
    }
    const parent = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '.';
    if (this.#entries.get(parent)?.kind !== 'directory') return -ENOENT;
    if (this.#entries.has(name)) return -EADDRINUSE;
    this.#entries.set(name, { kind: 'socket', mode: 0o755, socket });
    return 0;
  }

  /** The socket is gone: its abstract name is free, its file stays. */
  forget(name: string, socket: SimSocket): void {
    const key = keyOf(name, socket.kind);
    if (this.#abstract.get(key) === socket) this.#abstract.delete(key);
    const entry = this.#entries.get(name);
    if (entry?.socket === socket) entry.socket = undefined;
  }

  /** The socket bound to a name, or -errno. A path may lead to one of another kind. */
  find(name: string, kind: SimSocket['kind']): SimSocket | number {
    if (name.charCodeAt(0) === 0) return this.#abstract.get(keyOf(name, kind)) ?? -ECONNREFUSED;
    const entry = this.#entries.get(name);
    if (entry === undefined) return -ENOENT;
    return entry.socket ?? -ECONNREFUSED;
  }

  unlink(path: string): number {
    const entry = this.#entries.get(path);
    if (entry === undefined) return -ENOENT;
    if (entry.kind === 'directory') return -EISDIR;
    this.#entries.delete(path);
    return 0;
  }

  changeMode(path: string, mode: number): number {
    const entry = this.#entries.get(path);
    if (entry === undefined) return -ENOENT;
    entry.mode = mode;
    return 0;
  }

  isSocketFile(path: string): number {
    const entry = this.#entries.get(path);
    if (entry === undefined) return -ENOENT;
    return entry.kind === 'socket' ? 1 : 0;
  }
}

/** Each kind of socket has abstract names of its own. */
function keyOf(name: string, kind: SimSocket['kind']): string {
  return `${kind}${name}`;
}
