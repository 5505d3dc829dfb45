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

/** `struct ucred`, unix(7) */
export const UCRED_SIZE = 12;
/** pid_t, int32_t */
export const UCRED_PID = 0;
/** uint32_t */
export const UCRED_UID = 4;
/** uint32_t */
export const UCRED_GID = 8;

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

/** One message of recvmmsg and sendmmsg: a msghdr, then how long the message was. */
export const MMSGHDR_SIZE = 64;
/** uint32_t */
export const MMSGHDR_LENGTH = 56;

/** The head of an ancillary message; its data follow. Each begins at a multiple of 8 (CMSG_ALIGN). */
export const CMSGHDR_SIZE = 16;
/** size_t: of the head and the data */
export const CMSGHDR_LENGTH = 0;
/** int32_t */
export const CMSGHDR_LEVEL = 8;
/** int32_t */
export const CMSGHDR_TYPE = 12;

// netinet/in.h

/** A multicast group on an interface. */
export const GROUP_REQ_SIZE = 136;
/** uint32_t: the index of an interface; 0 lets the system choose. */
export const GROUP_REQ_INTERFACE = 0;
/** struct sockaddr_storage */
export const GROUP_REQ_GROUP = 8;

/** The same from one sender. */
export const GROUP_SOURCE_REQ_SIZE = 264;
/** struct sockaddr_storage */
export const GROUP_SOURCE_REQ_SOURCE = 136;

export const IP_MREQN_SIZE = 12;
/** int32_t: the index of an interface */
export const IP_MREQN_INTERFACE = 8;

export const IN_PKTINFO_SIZE = 12;
/** int32_t */
export const IN_PKTINFO_INTERFACE = 0;
/** 4 bytes: where replies come from */
export const IN_PKTINFO_SOURCE = 4;
/** 4 bytes: what the datagram was sent to */
export const IN_PKTINFO_DESTINATION = 8;

export const IN6_PKTINFO_SIZE = 20;
/** 16 bytes */
export const IN6_PKTINFO_ADDRESS = 0;
/** uint32_t */
export const IN6_PKTINFO_INTERFACE = 16;

// linux/errqueue.h

/** What the error queue of a socket tells; the address of who complained follows. */
export const EXTENDED_ERROR_SIZE = 16;
/** uint32_t */
export const EXTENDED_ERROR_ERRNO = 0;
/** uint8_t: 1 for this machine, 2 for ICMP, 3 for ICMPv6 */
export const EXTENDED_ERROR_ORIGIN = 4;
/** uint8_t */
export const EXTENDED_ERROR_TYPE = 5;
/** uint8_t */
export const EXTENDED_ERROR_CODE = 6;

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
