/**
 * What a connection has still to send: a chain of blocks with copied bytes, among them nodes that view arrays which
 * users gave away (`appendOwned`), and nodes that mark the places of parts of files, which lie in a list beside it. A
 * connection has a queue only while something is queued; the reactor keeps spare ones. Used by write-path.ts and
 * flush.ts; the driver pulls through `gather`.
 *
 * - Everything is sent in the order in which it was appended. Small pieces share a block.
 * - With an asynchronous driver the gathered blocks are lent to the kernel until `consume` or `clear`: the pool refuses
 *   to free them, and what is appended meanwhile lies behind their gathered bytes.
 * - User callbacks (receipts and onFree) are called last, when the queue is consistent, one after the other in the
 *   order they became due. They may append, and even cause a `consume` of more. One that throws is told to `onError`
 *   and stops nothing. While they run `hasReceipts` is true: the queue must not be given to another connection yet.
 */

import { type Block, KIND_FILE, KIND_FOREIGN } from './block.js';
import { BlockChain } from './block-chain.js';
import type { BlockPool } from './block-pool.js';
import type { SendVector } from './driver.js';
import type { LinkedBuffer } from './linked-buffer.js';

/** Owned arrays below this are copied: up to here that takes less time than a node and an iovec more (measured). */
const OWNED_BYTES_MIN = 2048;
/** Linked buffers below this are copied behind what is queued, if it fits there. */
const LINKED_BYTES_MIN = 1024;
/** Of a file in one send, so that a fast peer with a long file does not keep the others waiting. */
export const FILE_SEND_MAX = 1_048_576;

const HANDED_OVER = 0;
const NOT_HANDED_OVER = 1;
const FREED = 2;
type Due = typeof HANDED_OVER | typeof NOT_HANDED_OVER | typeof FREED;

export interface WriteQueueOptions {
  /** Gets what user callbacks throw. Must not throw. */
  onError: (error: unknown) => void;
  /** The driver goes on using what it gathered after `gather` returned. */
  asynchronous?: boolean;
}

/** What is in a queue, for statistics and tests. */
export interface WriteQueueSizes {
  bytes: number;
  nodes: number;
  /** Bytes of owned arrays; part of `bytes`. */
  ownedBytes: number;
  receipts: number;
}

type Receipt = (handedOver: boolean) => void;

/** A part of a file that is to be sent. */
export interface FilePart {
  /** Its descriptor, which is the caller's and stays open until `onDone` was called. */
  readonly file: number;
  offset: number;
  /** Bytes that are still to be sent; above 0 when it is appended. */
  left: number;
  /** Called once: with true when the system has all of it. */
  readonly onDone: Receipt | undefined;
}

export class WriteQueue extends BlockChain {
  private readonly onError: (error: unknown) => void;
  private readonly isAsynchronous: boolean;
  /** How many nodes from the head on are lent. */
  private lent = 0;
  /** Bytes handed over in the life of this queue: the scale of the receipts' positions. */
  private consumed = 0;
  /** Receipts from `receiptHead` on wait, in order, each for `consumed` to reach its position. */
  private readonly receipts: Receipt[] = [];
  private readonly positions: number[] = [];
  private receiptHead = 0;
  /** Callbacks to be called, and how. */
  private readonly due: (Receipt | (() => void))[] = [];
  private readonly dueAs: Due[] = [];
  private isCalling = false;
  /** Parts of files, in the order of their nodes. */
  private readonly files: FilePart[] = [];
  /** What is left of them; not in `byteLength`, which is memory. */
  fileBytes = 0;

  constructor(pool: BlockPool, options: WriteQueueOptions) {
    super(pool);
    this.onError = options.onError;
    this.isAsynchronous = options.asynchronous ?? false;
  }

  /** Receipts wait, or callbacks are running. */
  get hasReceipts(): boolean {
    return this.isCalling || this.receiptHead < this.receipts.length;
  }

  /** Nothing is queued and no callback is running: the queue may serve another connection. */
  get isIdle(): boolean {
    return this.totalBytes === 0 && !this.hasReceipts;
  }

  /** Bytes of memory and of files. */
  get totalBytes(): number {
    return this.byteLength + this.fileBytes;
  }

  get fileCount(): number {
    return this.files.length;
  }

  /** Whether what is to be sent next is a part of a file. */
  get startsWithFile(): boolean {
    return this.head !== null && this.head.kind === KIND_FILE;
  }

  /** Copies `bytes` from `from` on. False, taking nothing, when the pool has no room. */
  appendCopy(bytes: Uint8Array, from: number): boolean {
    return this.append(bytes, from, bytes.length, false);
  }

  /** Encodes `text` as UTF-8. False, taking nothing, when the pool has no room. */
  appendString(text: string): boolean {
    return this.appendEncoded(text, 'utf8', false);
  }

  /**
   * Takes `bytes` without a copy; small ones are copied, and free at once. `onFree` is called exactly once, inside this
   * call or a later one, when the array is the user's again.
   */
  appendOwned(bytes: Uint8Array, onFree: (() => void) | undefined): void {
    const byteLength = bytes.length;
    if (byteLength < OWNED_BYTES_MIN && this.append(bytes, 0, byteLength, false)) {
      if (onFree !== undefined) {
        this.callLater(onFree, FREED);
        this.callDue();
      }
      return;
    }
    const view = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, byteLength);
    this.appendNode(this.pool.wrap(view, onFree ?? null));
  }

  appendFile(part: FilePart): void {
    this.files.push(part);
    this.fileBytes += part.left;
    this.appendNode(this.pool.mark());
  }

  /** Moves everything unread of `buffer`, of the same pool, here; it is empty afterwards. */
  appendLinked(buffer: LinkedBuffer): void {
    if (buffer.isBorrowing) {
      throw new Error('Cannot queue borrowed bytes: they are gone when the hook returns');
    }
    const { tail } = this;
    const { byteLength } = buffer;
    if (byteLength < LINKED_BYTES_MIN && tail !== null && tail.limit - tail.end >= byteLength) {
      for (let node = buffer.head; node !== null; node = node.next) {
        this.append(node.bytes, node.start, node.end, false);
      }
    } else {
      this.appendChain(buffer);
    }
    buffer.clear();
  }

  /**
   * Appends what is queued to `vector`, from the head on, until it is full or a file follows. Returns the number of
   * ranges, which is 0 only if nothing is queued, if the vector does not take the file that comes first, or if the
   * first array was transferred by its user, which `onError` is told.
   */
  gather(vector: SendVector): number {
    // The driver asks again for the same send: it has made nothing of what it gathered before.
    this.recall();
    let count = 0;
    for (let node = this.head; node !== null; node = node.next) {
      const byteLength = node.end - node.start;
      if (node.kind === KIND_FILE) {
        return count > 0 ? count : this.gatherFile(vector);
      }
      if (node.address !== 0) {
        if (!vector.append(node.address + node.start, byteLength)) {
          break;
        }
      } else if (node.bytes.length < node.end) {
        this.onError(new TypeError('Cannot send an owned array: it was transferred or shortened'));
        break;
      } else if (!vector.appendBytes(viewOf(node))) {
        break;
      }
      count += 1;
      if (this.isAsynchronous) {
        this.pool.lend(node);
        this.lent = count;
      }
    }
    return count;
  }

  private gatherFile(vector: SendVector): number {
    const { file, offset, left } = this.files[0]!;
    return vector.appendFile(file, offset, Math.min(left, FILE_SEND_MAX)) ? 1 : 0;
  }

  /** The kernel has the first `n` bytes; nothing is lent any more. May call user callbacks. */
  consume(n: number): void {
    const isFile = this.startsWithFile;
    const most = isFile ? this.files[0]!.left : this.byteLength;
    if (!(n >= 0 && n <= most)) {
      throw new RangeError(`Cannot consume ${n} bytes: ${most} are queued`);
    }
    this.recall();
    this.consumed += n;
    if (isFile) {
      this.consumeFile(n);
    } else {
      this.consumeBytes(n);
    }
    if (this.head === null) {
      this.forget();
    }
    this.takeDueReceipts();
    if (this.due.length > 0) {
      this.callDue();
    }
  }

  private consumeFile(n: number): void {
    const part = this.files[0]!;
    part.offset += n;
    part.left -= n;
    this.fileBytes -= n;
    if (part.left === 0) {
      const head = this.head!;
      this.head = head.next;
      this.dropNode(head);
    }
  }

  private consumeBytes(n: number): void {
    this.byteLength -= n;
    let rest = n;
    while (rest > 0) {
      const head = this.head!;
      const size = head.end - head.start;
      if (rest < size) {
        head.start += rest;
        break;
      }
      rest -= size;
      this.head = head.next;
      this.dropNode(head);
    }
  }

  /**
   * Calls back with true once everything that is queued now is consumed (at once if nothing is), or with false if the
   * queue is cleared first. With `isBehind` bytes that are not in this queue go before: at the next `consume`.
   */
  addReceipt(callback: Receipt, isBehind = false): void {
    if (this.totalBytes === 0 && !isBehind) {
      this.callLater(callback, HANDED_OVER);
      this.callDue();
    } else {
      this.receipts.push(callback);
      this.positions.push(this.consumed + this.totalBytes);
    }
  }

  /**
   * The connection is closed: drops everything. Only when the driver is done with what it gathered, which is when it
   * has reported `closed`. May call user callbacks.
   */
  clear(): void {
    this.recall();
    let node = this.head;
    this.forget();
    while (node !== null) {
      const { next } = node;
      this.dropNode(node);
      node = next;
    }
    for (let i = this.receiptHead; i < this.receipts.length; i++) {
      this.callLater(this.receipts[i]!, NOT_HANDED_OVER);
    }
    this.forgetReceipts();
    if (this.due.length > 0) {
      this.callDue();
    }
  }

  get sizes(): WriteQueueSizes {
    let nodes = 0;
    let ownedBytes = 0;
    for (let node = this.head; node !== null; node = node.next) {
      nodes += 1;
      ownedBytes += node.kind === KIND_FOREIGN ? node.end - node.start : 0;
    }
    const receipts = this.receipts.length - this.receiptHead;
    return { bytes: this.byteLength, nodes, ownedBytes, receipts };
  }

  private recall(): void {
    let node = this.head;
    for (; this.lent > 0; this.lent -= 1) {
      this.pool.recall(node!);
      node = node!.next;
    }
  }

  private dropNode(node: Block): void {
    const { onFree } = node;
    if (node.kind === KIND_FILE) {
      this.dropFile();
    }
    this.pool.release(node);
    if (onFree !== null) {
      this.callLater(onFree, FREED);
    }
  }

  private dropFile(): void {
    const { left, onDone } = this.files.shift()!;
    this.fileBytes -= left;
    if (onDone !== undefined) {
      this.callLater(onDone, left === 0 ? HANDED_OVER : NOT_HANDED_OVER);
    }
  }

  private takeDueReceipts(): void {
    const { receipts, positions } = this;
    while (this.receiptHead < receipts.length && positions[this.receiptHead]! <= this.consumed) {
      this.callLater(receipts[this.receiptHead]!, HANDED_OVER);
      this.receiptHead += 1;
    }
    if (this.receiptHead === receipts.length) {
      this.forgetReceipts();
    } else if (this.receiptHead > 64 && this.receiptHead * 2 > receipts.length) {
      receipts.splice(0, this.receiptHead);
      positions.splice(0, this.receiptHead);
      this.receiptHead = 0;
    }
  }

  private forgetReceipts(): void {
    if (this.receipts.length > 0) {
      this.receipts.length = 0;
      this.positions.length = 0;
    }
    this.receiptHead = 0;
    this.consumed = 0;
  }

  private callLater(callback: Receipt | (() => void), as: Due): void {
    this.due.push(callback);
    this.dueAs.push(as);
  }

  /** Calls what is due, in order. A call inside a callback only adds to the list that the outer one works off. */
  private callDue(): void {
    if (this.isCalling) {
      return;
    }
    this.isCalling = true;
    for (let i = 0; i < this.due.length; i++) {
      try {
        call(this.due[i]!, this.dueAs[i]!);
      } catch (error) {
        this.onError(error);
      }
    }
    this.due.length = 0;
    this.dueAs.length = 0;
    this.isCalling = false;
  }
}

function call(callback: Receipt | (() => void), as: Due): void {
  if (as === FREED) {
    // Without an argument: a callback of another convention might take `true` for an error.
    (callback as () => void)();
  } else {
    callback(as === HANDED_OVER);
  }
}

/** The node's bytes: of the heap, so that the vector needs a view. */
function viewOf(node: Block): Buffer {
  const { bytes, start, end } = node;
  return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
}
