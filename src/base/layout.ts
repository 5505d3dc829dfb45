/**
 * Sizes and offsets, in bytes, of the kernel's structures, for a 64-bit little-endian Linux. Hand-written rather than
 * left to the FFI's struct types, whose padding rules are not the kernel's (its `epoll_event` is packed on x86-64
 * only). test/base/layout.test.ts compares each of them with what a C compiler says on the machine at hand.
 * All multi-byte fields are in the machine's order, but for ports and Internet addresses, which are big-endian.
 * A name is the structure's and the field's, in words; `_SIZE` is the whole structure.
 */

/** Packed on x86-64, where 32-bit programs share the layout; naturally aligned everywhere else (sys/epoll.h). */
const isEpollEventPacked = process.arch === 'x64';

export const EPOLL_EVENT_SIZE = isEpollEventPacked ? 12 : 16;
/** uint32_t */
export const EPOLL_EVENT_EVENTS = 0;
/** The 64-bit `data`, as two 32-bit words: the low one here, the high one 4 bytes after. */
export const EPOLL_EVENT_DATA = isEpollEventPacked ? 4 : 8;

// sys/socket.h, netinet/in.h, sys/un.h

/** uint16_t: at the same place in the addresses of all families. */
export const SOCKADDR_FAMILY = 0;
/** Large enough for an address of any family. */
export const SOCKADDR_STORAGE_SIZE = 128;

export const SOCKADDR_IN_SIZE = 16;
/** uint16_t, big-endian */
export const SOCKADDR_IN_PORT = 2;
/** 4 bytes */
export const SOCKADDR_IN_ADDRESS = 4;

export const SOCKADDR_IN6_SIZE = 28;
/** uint16_t, big-endian */
export const SOCKADDR_IN6_PORT = 2;
/** uint32_t, big-endian */
export const SOCKADDR_IN6_FLOWINFO = 4;
/** 16 bytes */
export const SOCKADDR_IN6_ADDRESS = 8;
/** uint32_t: the index of an interface */
export const SOCKADDR_IN6_SCOPE = 24;

export const SOCKADDR_UN_SIZE = 110;
/** The rest of the structure: a path with its NUL, or a NUL and an abstract name. */
export const SOCKADDR_UN_PATH = 2;

export const LINGER_SIZE = 8;
/** int32_t */
export const LINGER_ON = 0;
/** int32_t */
export const LINGER_SECONDS = 4;

export const MSGHDR_SIZE = 56;
/** void* */
export const MSGHDR_NAME = 0;
/** uint32_t */
export const MSGHDR_NAME_LENGTH = 8;
/** struct iovec* */
export const MSGHDR_VECTOR = 16;
/** size_t: how many iovecs */
export const MSGHDR_VECTOR_LENGTH = 24;
/** void* */
export const MSGHDR_CONTROL = 32;
/** size_t */
export const MSGHDR_CONTROL_LENGTH = 40;
/** int32_t */
export const MSGHDR_FLAGS = 48;

// sys/uio.h

export const IOVEC_SIZE = 16;
/** void* */
export const IOVEC_BASE = 0;
/** size_t */
export const IOVEC_LENGTH = 8;

// time.h

export const TIMESPEC_SIZE = 16;
/** int64_t */
export const TIMESPEC_SECONDS = 0;
/** int64_t */
export const TIMESPEC_NANOSECONDS = 8;

// sys/resource.h

export const RLIMIT_SIZE = 16;
/** uint64_t; all ones is RLIM_INFINITY. */
export const RLIMIT_SOFT = 0;
/** uint64_t */
export const RLIMIT_HARD = 8;
