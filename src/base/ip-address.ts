/**
 * IPv4 and IPv6 addresses between text and bytes. Parsing is strict, unlike inet_aton: an IPv4 address has four
 * decimal parts without leading zeros, so that `010.0.0.1` is nobody's 8.0.0.1. Text comes out as RFC 5952 wants it.
 * Called by `address.ts`. Scopes (`%eth0`) are no part of the address and not handled here.
 */

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
/** The longest text of an IPv6 address: six groups of four digits and a whole IPv4 address. */
const IPV6_TEXT_MAX = 45;
/** `::ffff:0:0/96`, RFC 4291 section 2.5.5.2: ten zero bytes, then two of all ones. */
const MAPPED_ONES_AT = 10;
const MAPPED_IPV4_AT = 12;

const IPV4_PART = /^(?:0|[1-9]\d{0,2})$/;
const IPV6_GROUP = /^[0-9a-fA-F]{1,4}$/;

/** The four bytes of `192.0.2.1`; undefined when the text is not an IPv4 address in its one canonical form. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.', IPV4_BYTES + 1);
  if (parts.length !== IPV4_BYTES) return undefined;
  const bytes = new Uint8Array(IPV4_BYTES);
  for (let i = 0; i < IPV4_BYTES; i++) {
    const part = parts[i]!;
    if (!IPV4_PART.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

/** The text of the first four bytes. */
export function formatIpv4(bytes: Uint8Array): string {
  return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
}

/**
 * The 16 bytes of an IPv6 address in any form of RFC 4291 section 2.2 (upper case, leading zeros, `::` for one or more
 * groups, an IPv4 address as the last two); undefined when the text is none. Without brackets and scope.
 */
export function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > IPV6_TEXT_MAX) return undefined;
  const halves = text.split('::', 3);
  if (halves.length > 2) return undefined;
  const isShortened = halves.length === 2;
  const head = parseGroups(halves[0]!, !isShortened);
  const tail = isShortened ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = IPV6_GROUPS - head.length - tail.length;
  if (isShortened ? missing < 1 : missing !== 0) return undefined;
  const bytes = new Uint8Array(IPV6_BYTES);
  writeGroups(bytes, 0, head);
  writeGroups(bytes, head.length + missing, tail);
  return bytes;
}

/** The canonical text of RFC 5952 for 16 bytes; IPv4-mapped addresses in the mixed notation of its section 5. */
export function formatIpv6(bytes: Uint8Array): string {
  if (isIpv4Mapped(bytes)) return `::ffff:${formatIpv4(bytes.subarray(MAPPED_IPV4_AT))}`;
  const groups: string[] = [];
  for (let i = 0; i < IPV6_BYTES; i += 2) {
    groups.push(((bytes[i]! << 8) | bytes[i + 1]!).toString(16));
  }
  const { start, length } = longestZeroRun(groups);
  // Section 4.2.2: a single zero group is not shortened.
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** Whether 16 bytes are an IPv4 address that a dual-stack socket shows, `::ffff:192.0.2.1`. */
export function isIpv4Mapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < MAPPED_ONES_AT; i++) {
    if (bytes[i] !== 0) return false;
  }
  return bytes[MAPPED_ONES_AT] === 0xff && bytes[MAPPED_ONES_AT + 1] === 0xff;
}

/** The four bytes of an IPv4-mapped address, as a view. */
export function mappedIpv4(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(MAPPED_IPV4_AT, IPV6_BYTES);
}

/** The groups of one side of `::`, or of the whole text. Only what stands last may end in an IPv4 address. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (IPV6_GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const ipv4 = isLast && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (ipv4 === undefined) return undefined;
    groups.push((ipv4[0]! << 8) | ipv4[1]!, (ipv4[2]! << 8) | ipv4[3]!);
  }
  return groups;
}

function writeGroups(bytes: Uint8Array, firstGroup: number, groups: readonly number[]): void {
  for (let i = 0; i < groups.length; i++) {
    const at = (firstGroup + i) * 2;
    bytes[at] = groups[i]! >> 8;
    bytes[at + 1] = groups[i]! & 0xff;
  }
}

/** The longest run of zero groups, the first of several as long (section 4.2.3). */
function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  const best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === '0') continue;
    if (i - start > best.length) {
      best.start = start;
      best.length = i - start;
    }
    start = i + 1;
  }
  return best;
}
