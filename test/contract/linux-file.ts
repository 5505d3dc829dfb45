/** Files for the driver contract on the real kernel: nameless ones, gone with their descriptor. */

import { ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function openLinuxFile(bytes: Buffer): { fd: number; truncate(byteLength: number): void } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  const fd = openSync(join(folder, 'file'), 'w+');
  rmSync(folder, { recursive: true });
  for (let at = 0; at < bytes.byteLength; ) {
    at += writeSync(fd, bytes, at);
  }
  return { fd, truncate: (byteLength) => ftruncateSync(fd, byteLength) };
}
