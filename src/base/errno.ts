/**
 * The errnos of Linux: number, symbolic name and a short text for each. The numbers are the generic ones of the
 * kernel (asm-generic/errno.h), which x86-64 and arm64 share; test/base/layout.test.ts compares them with the C
 * library's. Node's `os.constants.errno` is not the source, since it lacks those that have no libuv equal, and since
 * the simulated kernel speaks Linux on any host. Called by `errors.ts` and by whoever judges a `-errno`.
 */

export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const ENOEXEC = 8;
export const EBADF = 9;
export const ECHILD = 10;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const ENOTBLK = 15;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOTTY = 25;
export const ETXTBSY = 26;
export const EFBIG = 27;
export const ENOSPC = 28;
export const ESPIPE = 29;
export const EROFS = 30;
export const EMLINK = 31;
export const EPIPE = 32;
export const EDOM = 33;
export const ERANGE = 34;
export const EDEADLK = 35;
export const ENAMETOOLONG = 36;
export const ENOLCK = 37;
export const ENOSYS = 38;
export const ENOTEMPTY = 39;
export const ELOOP = 40;
export const ENOMSG = 42;
export const EIDRM = 43;
export const ECHRNG = 44;
export const EL2NSYNC = 45;
export const EL3HLT = 46;
export const EL3RST = 47;
export const ELNRNG = 48;
export const EUNATCH = 49;
export const ENOCSI = 50;
export const EL2HLT = 51;
export const EBADE = 52;
export const EBADR = 53;
export const EXFULL = 54;
export const ENOANO = 55;
export const EBADRQC = 56;
export const EBADSLT = 57;
export const EBFONT = 59;
export const ENOSTR = 60;
export const ENODATA = 61;
export const ETIME = 62;
export const ENOSR = 63;
export const ENONET = 64;
export const ENOPKG = 65;
export const EREMOTE = 66;
export const ENOLINK = 67;
export const EADV = 68;
export const ESRMNT = 69;
export const ECOMM = 70;
export const EPROTO = 71;
export const EMULTIHOP = 72;
export const EDOTDOT = 73;
export const EBADMSG = 74;
export const EOVERFLOW = 75;
export const ENOTUNIQ = 76;
export const EBADFD = 77;
export const EREMCHG = 78;
export const ELIBACC = 79;
export const ELIBBAD = 80;
export const ELIBSCN = 81;
export const ELIBMAX = 82;
export const ELIBEXEC = 83;
export const EILSEQ = 84;
export const ERESTART = 85;
export const ESTRPIPE = 86;
export const EUSERS = 87;
export const ENOTSOCK = 88;
export const EDESTADDRREQ = 89;
export const EMSGSIZE = 90;
export const EPROTOTYPE = 91;
export const ENOPROTOOPT = 92;
export const EPROTONOSUPPORT = 93;
export const ESOCKTNOSUPPORT = 94;
export const EOPNOTSUPP = 95;
export const EPFNOSUPPORT = 96;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ENETDOWN = 100;
export const ENETUNREACH = 101;
export const ENETRESET = 102;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const EISCONN = 106;
export const ENOTCONN = 107;
export const ESHUTDOWN = 108;
export const ETOOMANYREFS = 109;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const EHOSTDOWN = 112;
export const EHOSTUNREACH = 113;
export const EALREADY = 114;
export const EINPROGRESS = 115;
export const ESTALE = 116;
export const EUCLEAN = 117;
export const ENOTNAM = 118;
export const ENAVAIL = 119;
export const EISNAM = 120;
export const EREMOTEIO = 121;
export const EDQUOT = 122;
export const ENOMEDIUM = 123;
export const EMEDIUMTYPE = 124;
export const ECANCELED = 125;
export const ENOKEY = 126;
export const EKEYEXPIRED = 127;
export const EKEYREVOKED = 128;
export const EKEYREJECTED = 129;
export const EOWNERDEAD = 130;
export const ENOTRECOVERABLE = 131;
export const ERFKILL = 132;
export const EHWPOISON = 133;

// Second names of the same numbers. They have no row below: `errnoName` answers with the first name.
export const EWOULDBLOCK = EAGAIN;
export const EDEADLOCK = EDEADLK;
export const ENOTSUP = EOPNOTSUPP;

/** Texts fit behind "Cannot bind tcp://…: ", so they are clauses without capital and full stop. */
const ROWS = [
  [EPERM, 'EPERM', 'the operation is not permitted'],
  [ENOENT, 'ENOENT', 'there is no such file or directory'],
  [ESRCH, 'ESRCH', 'there is no such process'],
  [EINTR, 'EINTR', 'a signal interrupted the call'],
  [EIO, 'EIO', 'the device failed to read or write'],
  [ENXIO, 'ENXIO', 'there is no such device or address'],
  [E2BIG, 'E2BIG', 'the argument list is too long'],
  [ENOEXEC, 'ENOEXEC', 'the file is not an executable'],
  [EBADF, 'EBADF', 'the descriptor is not open'],
  [ECHILD, 'ECHILD', 'there is no child process'],
  [EAGAIN, 'EAGAIN', 'the call would block'],
  [ENOMEM, 'ENOMEM', 'there is not enough memory'],
  [EACCES, 'EACCES', 'permission is denied'],
  [EFAULT, 'EFAULT', "the address is outside the process's memory"],
  [ENOTBLK, 'ENOTBLK', 'a block device is needed'],
  [EBUSY, 'EBUSY', 'the resource is busy'],
  [EEXIST, 'EEXIST', 'the file exists already'],
  [EXDEV, 'EXDEV', 'the link would cross file systems'],
  [ENODEV, 'ENODEV', 'there is no such device'],
  [ENOTDIR, 'ENOTDIR', 'a part of the path is not a directory'],
  [EISDIR, 'EISDIR', 'the path is a directory'],
  [EINVAL, 'EINVAL', 'an argument is not valid'],
  [ENFILE, 'ENFILE', 'the system has too many open files'],
  [EMFILE, 'EMFILE', 'the process has too many open descriptors'],
  [ENOTTY, 'ENOTTY', 'the descriptor does not support this control call'],
  [ETXTBSY, 'ETXTBSY', 'the program file is being executed'],
  [EFBIG, 'EFBIG', 'the file would become too large'],
  [ENOSPC, 'ENOSPC', 'no space is left'],
  [ESPIPE, 'ESPIPE', 'the descriptor has no position to seek to'],
  [EROFS, 'EROFS', 'the file system is read-only'],
  [EMLINK, 'EMLINK', 'the file has too many links'],
  [EPIPE, 'EPIPE', 'the other end no longer receives'],
  [EDOM, 'EDOM', "the argument is outside the function's domain"],
  [ERANGE, 'ERANGE', 'the result is out of range'],
  [EDEADLK, 'EDEADLK', 'waiting would be a deadlock'],
  [ENAMETOOLONG, 'ENAMETOOLONG', 'the name is too long'],
  [ENOLCK, 'ENOLCK', 'no more locks are available'],
  [ENOSYS, 'ENOSYS', 'the kernel does not have this call'],
  [ENOTEMPTY, 'ENOTEMPTY', 'the directory is not empty'],
  [ELOOP, 'ELOOP', 'the path has too many symbolic links'],
  [ENOMSG, 'ENOMSG', 'there is no message of that kind'],
  [EIDRM, 'EIDRM', 'the identifier was removed'],
  [ECHRNG, 'ECHRNG', 'the channel number is out of range'],
  [EL2NSYNC, 'EL2NSYNC', 'level 2 is not synchronized'],
  [EL3HLT, 'EL3HLT', 'level 3 has halted'],
  [EL3RST, 'EL3RST', 'level 3 was reset'],
  [ELNRNG, 'ELNRNG', 'the link number is out of range'],
  [EUNATCH, 'EUNATCH', 'no protocol driver is attached'],
  [ENOCSI, 'ENOCSI', 'there is no CSI structure'],
  [EL2HLT, 'EL2HLT', 'level 2 has halted'],
  [EBADE, 'EBADE', 'the exchange is not valid'],
  [EBADR, 'EBADR', 'the request descriptor is not valid'],
  [EXFULL, 'EXFULL', 'the exchange is full'],
  [ENOANO, 'ENOANO', 'there is no anode'],
  [EBADRQC, 'EBADRQC', 'the request code is not valid'],
  [EBADSLT, 'EBADSLT', 'the slot is not valid'],
  [EBFONT, 'EBFONT', 'the font file is malformed'],
  [ENOSTR, 'ENOSTR', 'the device is not a stream'],
  [ENODATA, 'ENODATA', 'there is no data'],
  [ETIME, 'ETIME', 'the timer ran out'],
  [ENOSR, 'ENOSR', 'no stream resources are left'],
  [ENONET, 'ENONET', 'the machine is not on a network'],
  [ENOPKG, 'ENOPKG', 'the package is not installed'],
  [EREMOTE, 'EREMOTE', 'the object is on another machine'],
  [ENOLINK, 'ENOLINK', 'the link was cut'],
  [EADV, 'EADV', 'the resource is already advertised'],
  [ESRMNT, 'ESRMNT', 'the resource is mounted elsewhere'],
  [ECOMM, 'ECOMM', 'sending failed on the link'],
  [EPROTO, 'EPROTO', 'the protocol was violated'],
  [EMULTIHOP, 'EMULTIHOP', 'the path would take several hops'],
  [EDOTDOT, 'EDOTDOT', 'the remote file system reported an error'],
  [EBADMSG, 'EBADMSG', 'the message is malformed'],
  [EOVERFLOW, 'EOVERFLOW', 'the value is too large for its type'],
  [ENOTUNIQ, 'ENOTUNIQ', 'the name is not unique on the network'],
  [EBADFD, 'EBADFD', 'the descriptor is in a bad state'],
  [EREMCHG, 'EREMCHG', 'the remote address changed'],
  [ELIBACC, 'ELIBACC', 'a shared library cannot be reached'],
  [ELIBBAD, 'ELIBBAD', 'a shared library is corrupted'],
  [ELIBSCN, 'ELIBSCN', 'a section of the executable is corrupted'],
  [ELIBMAX, 'ELIBMAX', 'too many shared libraries are linked'],
  [ELIBEXEC, 'ELIBEXEC', 'a shared library cannot be executed by itself'],
  [EILSEQ, 'EILSEQ', 'the byte sequence is not a character'],
  [ERESTART, 'ERESTART', 'the interrupted call should be started again'],
  [ESTRPIPE, 'ESTRPIPE', 'the pipe between streams failed'],
  [EUSERS, 'EUSERS', 'there are too many users'],
  [ENOTSOCK, 'ENOTSOCK', 'the descriptor is not a socket'],
  [EDESTADDRREQ, 'EDESTADDRREQ', 'a destination address is needed'],
  [EMSGSIZE, 'EMSGSIZE', 'the message is too long'],
  [EPROTOTYPE, 'EPROTOTYPE', "the protocol does not fit the socket's type"],
  [ENOPROTOOPT, 'ENOPROTOOPT', 'the protocol does not have this option'],
  [EPROTONOSUPPORT, 'EPROTONOSUPPORT', 'the protocol is not supported'],
  [ESOCKTNOSUPPORT, 'ESOCKTNOSUPPORT', 'the socket type is not supported'],
  [EOPNOTSUPP, 'EOPNOTSUPP', 'the operation is not supported'],
  [EPFNOSUPPORT, 'EPFNOSUPPORT', 'the protocol family is not supported'],
  [EAFNOSUPPORT, 'EAFNOSUPPORT', 'the address family is not supported'],
  [EADDRINUSE, 'EADDRINUSE', 'the address is already in use'],
  [EADDRNOTAVAIL, 'EADDRNOTAVAIL', "the address is not one of this machine's"],
  [ENETDOWN, 'ENETDOWN', 'the network is down'],
  [ENETUNREACH, 'ENETUNREACH', 'there is no route to the network'],
  [ENETRESET, 'ENETRESET', 'the network dropped the connection on a reset'],
  [ECONNABORTED, 'ECONNABORTED', 'the connection was aborted on this side'],
  [ECONNRESET, 'ECONNRESET', 'the peer reset the connection'],
  [ENOBUFS, 'ENOBUFS', 'no buffer space is left'],
  [EISCONN, 'EISCONN', 'the socket is already connected'],
  [ENOTCONN, 'ENOTCONN', 'the socket is not connected'],
  [ESHUTDOWN, 'ESHUTDOWN', 'this side of the socket was shut down'],
  [ETOOMANYREFS, 'ETOOMANYREFS', 'there are too many references'],
  [ETIMEDOUT, 'ETIMEDOUT', 'the peer did not answer in time'],
  [ECONNREFUSED, 'ECONNREFUSED', 'nobody listens at the address'],
  [EHOSTDOWN, 'EHOSTDOWN', 'the host is down'],
  [EHOSTUNREACH, 'EHOSTUNREACH', 'there is no route to the host'],
  [EALREADY, 'EALREADY', 'the operation is already in progress'],
  [EINPROGRESS, 'EINPROGRESS', 'the operation was started and is in progress'],
  [ESTALE, 'ESTALE', 'the file handle is stale'],
  [EUCLEAN, 'EUCLEAN', 'the file system needs repair'],
  [ENOTNAM, 'ENOTNAM', 'the file is not a named type'],
  [ENAVAIL, 'ENAVAIL', 'no semaphore of that kind is available'],
  [EISNAM, 'EISNAM', 'the file is a named type'],
  [EREMOTEIO, 'EREMOTEIO', 'the remote device failed to read or write'],
  [EDQUOT, 'EDQUOT', 'the quota is used up'],
  [ENOMEDIUM, 'ENOMEDIUM', 'there is no medium in the drive'],
  [EMEDIUMTYPE, 'EMEDIUMTYPE', 'the medium is of the wrong type'],
  [ECANCELED, 'ECANCELED', 'the operation was cancelled'],
  [ENOKEY, 'ENOKEY', 'the key does not exist'],
  [EKEYEXPIRED, 'EKEYEXPIRED', 'the key has expired'],
  [EKEYREVOKED, 'EKEYREVOKED', 'the key was revoked'],
  [EKEYREJECTED, 'EKEYREJECTED', 'the key was refused'],
  [EOWNERDEAD, 'EOWNERDEAD', 'the owner of the lock died'],
  [ENOTRECOVERABLE, 'ENOTRECOVERABLE', 'the state cannot be recovered'],
  [ERFKILL, 'ERFKILL', 'the radio is switched off'],
  [EHWPOISON, 'EHWPOISON', 'the memory page has a hardware error'],
] as const;

type ErrnoRow = (typeof ROWS)[number];

/** All errnos by name, such as `ERRNO.EAGAIN`. */
export const ERRNO = Object.freeze(
  Object.fromEntries(ROWS.map(([number, name]) => [name, number])),
) as { readonly [Row in ErrnoRow as Row[1]]: Row[0] };

const ROW_BY_NUMBER: ReadonlyMap<number, ErrnoRow> = new Map(ROWS.map((row) => [row[0], row]));

/** The symbolic name of a positive errno, such as `EADDRINUSE`; `E` and the number when Linux has no name for it. */
export function errnoName(errno: number): string {
  return ROW_BY_NUMBER.get(errno)?.[1] ?? `E${errno}`;
}

/** What a positive errno means, as a clause: `the address is already in use`. */
export function errnoText(errno: number): string {
  return ROW_BY_NUMBER.get(errno)?.[2] ?? `system error ${errno}`;
}

/** Whether a positive errno says "not now": to be tried again when the descriptor is ready. EINPROGRESS is not it. */
export function isWouldBlock(errno: number): boolean {
  return errno === EAGAIN;
}
