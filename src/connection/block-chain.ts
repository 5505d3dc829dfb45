/**
 * A chain of blocks that bytes are appended to: what the reading side (LinkedBuffer) and the sending side (WriteQueue)
 * have in common. The chain holds one reference to each of its nodes. There are no empty nodes: a chain without bytes
 * holds no block at all.
 *
 * The first block is as small as what is appended; each further one is twice as large, up to BLOCK_BYTES_MAX, until
 * the chain is empty again. So a chain of many small pieces has few blocks and a short one wastes little. (netpoll
 * remembers the largest size for the life of a connection and never comes down from it.)
 *
 * Appending is all or nothing. With `anyway` it never fails: the pool may be overdrawn by it (see BlockPool).
 */

import { type Block, fill } from './block.js';
import { BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, type BlockPool } from './block-pool.js';

export class BlockChain {
  readonly pool: BlockPool;
  head: Block | null = null;
  tail: Block | null = null;
  /** Bytes in all nodes together. */
  byteLength = 0;
  /** The least size of the next block. */
  protected growth: number = BLOCK_BYTES_MIN;

  constructor(pool: BlockPool) {
    this.pool = pool;
  }

  /** Copies bytes [from, to). False, taking nothing, when the pool has no blocks left. */
  append(bytes: Uint8Array, from: number, to: number, anyway: boolean): boolean {
    const { tail } = this;
    const room = tail === null ? 0 : tail.limit - tail.end;
    if (to - from <= room) {
      if (to > from) {
        fill(tail!, bytes, from, to);
        this.byteLength += to - from;
      }
      return true;
    }
    let node = this.takeList(to - from - room, anyway);
    if (node === null) {
      return false;
    }
    let at = from + room;
    if (room > 0) {
      fill(tail!, bytes, from, at);
      this.byteLength += room;
    }
    while (node !== null) {
      const following: Block | null = node.next;
      const stop = Math.min(to, at + node.limit);
      fill(node, bytes, at, stop);
      at = stop;
      this.appendNode(node);
      node = following;
    }
    return true;
  }

  /** Encodes straight into a block, unless there is none. The bytes are in one piece. */
  appendEncoded(text: string, encoding: BufferEncoding, anyway: boolean): boolean {
    if (text.length === 0) {
      return true;
    }
    const { tail } = this;
    const room = tail === null ? 0 : tail.limit - tail.end;
    // No encoding makes more than three bytes of one UTF-16 unit: short texts need not be measured first.
    if (text.length * 3 <= room || (room > 0 && Buffer.byteLength(text, encoding) <= room)) {
      const written = tail!.bytes.write(text, tail!.end, room, encoding);
      tail!.end += written;
      this.byteLength += written;
      return true;
    }
    const block = this.takeBlock(Buffer.byteLength(text, encoding), anyway);
    if (block === null) {
      return false;
    }
    block.end = block.bytes.write(text, 0, block.limit, encoding);
    if (block.end === 0) {
      // Text that is not what its encoding says, such as 'zz' as hex, makes no bytes.
      this.pool.release(block);
    } else {
      this.appendNode(block);
    }
    return true;
  }

  /** Puts a node at the end. The caller's reference becomes the chain's. */
  appendNode(node: Block): void {
    node.next = null;
    if (this.tail === null) {
      this.head = node;
    } else {
      this.tail.next = node;
    }
    this.tail = node;
    this.byteLength += node.end - node.start;
  }

  /** Moves all nodes of another chain of the same pool to the end of this one; it is empty afterwards. */
  appendChain(other: BlockChain): void {
    if (other.pool !== this.pool) {
      throw new Error('Cannot move blocks to a chain of another pool');
    }
    if (other.head === null) {
      return;
    }
    if (this.tail === null) {
      this.head = other.head;
    } else {
      this.tail.next = other.head;
    }
    this.tail = other.tail;
    this.byteLength += other.byteLength;
    other.forget();
  }

  /**
   * A block with room for `byteLength` bytes in one piece: the tail, or a fresh block, not in the chain yet, which the
   * caller appends once there are bytes in it.
   */
  roomFor(byteLength: number): Block {
    const { tail } = this;
    if (tail !== null && tail.limit - tail.end >= byteLength) {
      return tail;
    }
    return this.takeBlock(byteLength, true)!;
  }

  /** The chain has no node any more; they were released or moved. */
  protected forget(): void {
    this.head = null;
    this.tail = null;
    this.byteLength = 0;
    this.growth = BLOCK_BYTES_MIN;
  }

  private takeBlock(byteLength: number, anyway: boolean): Block | null {
    const wanted = Math.max(byteLength, this.growth);
    const block = anyway ? this.pool.takeAnyway(wanted) : this.pool.takeWhole(wanted);
    if (block !== null && this.growth < BLOCK_BYTES_MAX) {
      this.growth *= 2;
    }
    return block;
  }

  /** Linked blocks with room for `byteLength` bytes together; null, and none is taken, if there are not as many. */
  private takeList(byteLength: number, anyway: boolean): Block | null {
    let first: Block | null = null;
    let last: Block | null = null;
    let missing = byteLength;
    while (missing > 0) {
      const block = this.takeBlock(Math.min(missing, BLOCK_BYTES_MAX), anyway);
      if (block === null) {
        this.pool.releaseList(first);
        return null;
      }
      if (last === null) {
        first = block;
      } else {
        last.next = block;
      }
      last = block;
      missing -= block.limit;
    }
    return first;
  }
}
