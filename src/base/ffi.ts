/**
 * The only file that imports the FFI package. It declares libc's functions, once for each thread (declaring twice
 * leaks). Nothing but `LinuxKernel` and what it is made of may use it: these functions check nothing.
 *
 * libc is reached through the running program (`load(null)`), not by its file name: so that AddressSanitizer and
 * fault injectors that are preloaded see our calls, and so that glibc and musl both work.
 */

import { createRequire } from 'node:module';

import type Koffi from 'koffi';

let loadError: unknown;

/**
 * Where there is no binary of it, such as on a system without a driver, the library can still be imported, and `serve`
 * can say what is wrong: `loadLibc` throws what is caught here.
 */
const koffi = loadKoffi();

function loadKoffi(): typeof Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch (error) {
    loadError = error;
    return {} as typeof Koffi;
  }
}

type Call = (...values: number[]) => number;
type BytesCall = (fd: number, bytes: Uint8Array, byteLength: number, flags: number) => number;

/** The prototypes in C, by the name used here. Pointers are numbers, or typed arrays where the name says bytes. */
const PROTOTYPES = {
  calloc: 'uintptr_t calloc(size_t, size_t)',
  free: 'void free(uintptr_t)',
  madvise: 'int madvise(uintptr_t, size_t, int)',
  memcpyIn: 'void memcpy(uintptr_t, void*, size_t)',
  memcpyOut: 'void memcpy(void*, uintptr_t, size_t)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, uintptr_t)',
  bind: 'int bind(int, void*, uint32_t)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, uintptr_t, uintptr_t, int)',
  connect: 'int connect(int, void*, uint32_t)',
  sendBytes: 'int send(int, void*, uint32_t, int)',
  recvBytes: 'int recv(int, void*, uint32_t, int)',
  send: 'int send(int, uintptr_t, uint32_t, int)',
  sendmsg: 'int sendmsg(int, uintptr_t, int)',
  sendfile: 'int sendfile(int, int, uintptr_t, size_t)',
  pread: 'int pread(int, uintptr_t, uint32_t, int64_t)',
  recvmmsg: 'int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)',
  sendmmsg: 'int sendmmsg(int, uintptr_t, uint32_t, int)',
  shutdown: 'int shutdown(int, int)',
  close: 'int close(int)',
  setsockopt: 'int setsockopt(int, int, int, void*, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, uintptr_t, uintptr_t)',
  getsockname: 'int getsockname(int, uintptr_t, uintptr_t)',
  getpeername: 'int getpeername(int, uintptr_t, uintptr_t)',
  fcntl: 'int fcntl(int, int, int)',
  dup3: 'int dup3(int, int, int)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, uintptr_t)',
  epoll_wait: 'int epoll_wait(int, uintptr_t, int, int)',
  eventfd: 'int eventfd(uint32_t, int)',
  ringSetup: 'int syscall(long, uint32_t, uintptr_t)',
  ringEnter: 'int syscall(long, int, uint32_t, uint32_t, uint32_t, uintptr_t, uintptr_t)',
  ringRegister: 'int syscall(long, int, uint32_t, void*, uint32_t)',
  mmap: 'int64_t mmap(uintptr_t, size_t, int, int, int, int64_t)',
  munmap: 'int munmap(uintptr_t, size_t)',
  recv: 'int recv(int, uintptr_t, uint32_t, int)',
  read: 'int read(int, uintptr_t, uint32_t)',
  write: 'int write(int, uintptr_t, uint32_t)',
  clock_gettime: 'int clock_gettime(int, uintptr_t)',
  getrlimit: 'int getrlimit(int, uintptr_t)',
  sched_setaffinity: 'int sched_setaffinity(int, size_t, uintptr_t)',
} as const;

type BytesName =
  | 'ringRegister'
  | 'bind'
  | 'connect'
  | 'setsockopt'
  | 'memcpyIn'
  | 'memcpyOut'
  | 'sendBytes'
  | 'recvBytes';

export type Libc = { readonly [Name in Exclude<keyof typeof PROTOTYPES, BytesName>]: Call } & {
  readonly sendBytes: BytesCall;
  readonly recvBytes: BytesCall;
  readonly ringRegister: (
    number: number,
    fd: number,
    operation: number,
    argument: Uint8Array | null,
    count: number,
  ) => number;
  readonly bind: (fd: number, sockaddr: Uint8Array, byteLength: number) => number;
  readonly connect: (fd: number, sockaddr: Uint8Array, byteLength: number) => number;
  readonly setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    byteLength: number,
  ) => number;
  readonly memcpyIn: (address: number, source: Uint8Array, byteLength: number) => void;
  readonly memcpyOut: (target: Uint8Array, address: number, byteLength: number) => void;
};

/**
 * The FFI package calls functions on a stack of its own, one for each thread, and never unmaps it when the thread ends
 * (measured): its default of 2 MiB, and 1 MiB for arguments, is far more than system calls need.
 */
const STACK_BYTES = 256 * 1024;
const HEAP_BYTES = 64 * 1024;

let declared: Libc | undefined;

/** libc of this process, declared once for the calling thread. */
export function loadLibc(): Libc {
  if (loadError !== undefined) {
    throw loadError;
  }
  if (declared === undefined) {
    try {
      koffi.config({ sync_stack_size: STACK_BYTES, sync_heap_size: HEAP_BYTES });
    } catch {
      // The program has loaded a library of its own before: then the sizes are settled, and large enough.
    }
    const library = koffi.load(null);
    const functions = Object.entries(PROTOTYPES).map(([name, prototype]) => [
      name,
      library.func(prototype),
    ]);
    // Built property by property, the object would be a dictionary, which each call would have to search (measured).
    declared = Object.fromEntries(functions) as Libc;
  }
  return declared;
}

/** A function of a library: numbers in, pointers included, and C strings; a number out, or the text of a C string. */
export type NumberCall = (...values: (number | string)[]) => number;
export type TextCall = (...values: number[]) => string | null;

/**
 * Declares functions of the running program (`null`), or of a library with its dependencies bound before the program's
 * own symbols (`RTLD_DEEPBIND`): so that two versions of one library never mix. The result is a plain object, built
 * once for each thread by its caller.
 *
 * @throws Error when the library, or one of the functions, is not there.
 */
export function declareFunctions<Name extends string>(
  path: string | null,
  prototypes: Readonly<Record<Name, string>>,
): Record<Name, NumberCall> {
  loadLibc();
  const library = path === null ? koffi.load(null) : koffi.load(path, { deep: true });
  const entries = Object.entries<string>(prototypes);
  const functions = entries.map(([name, prototype]) => [name, library.func(prototype)]);
  return Object.fromEntries(functions) as Record<Name, NumberCall>;
}

/**
 * The address of a C function that calls `callback`, on this thread only, for as long as the thread lives. The callback
 * must not throw: the FFI package would turn that into the answer 0. `prototype` must have a name of its own.
 */
export function registerCallback(
  prototype: string,
  callback: (...values: never[]) => number,
): number {
  const pointer = koffi.register(callback, koffi.pointer(koffi.proto(prototype)));
  return Number(koffi.address(pointer));
}

/** errno of this thread; must be the very next FFI call after the one that failed. */
export const errno: () => number = koffi.errno;

export function viewMemory(address: number, byteLength: number): ArrayBuffer {
  return koffi.view(BigInt(address), byteLength);
}

export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}
