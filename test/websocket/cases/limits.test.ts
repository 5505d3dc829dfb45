/**
 * Large messages, many fragments, small pieces and many messages: the cases that the Autobahn suite numbers 9, for both
 * roles over real sockets. Its figures, but no times: nothing here depends on the machine.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CaseRig, ROLES } from '../support/case-peer.js';
import { OP } from '../support/frames.js';

let rig: CaseRig;
before(async () => {
  rig = await CaseRig.start();
});
after(() => rig.close());

const { CONTINUATION, TEXT, BINARY } = OP;
const KIB = 1_024;
const MIB = KIB * KIB;

const KINDS = [
  ['text', TEXT],
  ['binary', BINARY],
] as const;

/** Content whose every part is different, so that a piece that is lost or doubled shows. */
const CONTENT = Buffer.alloc(16 * MIB);
for (let i = 0; i < CONTENT.length; i += 8) {
  CONTENT.write((i / 8).toString(36).padStart(8, '.'), i, 'latin1');
}

async function echo(
  id: string,
  opcode: number,
  size: number,
  cut: { fragment?: number; chop?: number },
): Promise<void> {
  const data = CONTENT.subarray(0, size);
  for (const role of ROLES) {
    const peer = await rig.open(role);
    const { fragment = size, chop } = cut;
    const frames: Buffer[] = [];
    for (let at = 0; at < size; at += fragment) {
      const piece = data.subarray(at, at + fragment);
      frames.push(
        peer.frame(at === 0 ? opcode : CONTINUATION, piece, { fin: at + fragment >= size }),
      );
    }
    await peer.send(Buffer.concat(frames), chop);
    const answer = await peer.read();
    assert.equal(answer?.opcode, opcode, `${id}, ours is the ${role}`);
    assert.ok(answer.payload.equals(data), `${id}, ours is the ${role}`);
    await peer.finish(id);
  }
}

for (const [i, [name, opcode]] of KINDS.entries()) {
  test(`9.${1 + i}: ${name} messages of 64 KiB to 16 MiB`, async () => {
    const sizes = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB];
    for (const [n, size] of sizes.entries()) await echo(`9.${1 + i}.${n + 1}`, opcode, size, {});
  });

  test(`9.${3 + i}: ${name} messages of 4 MiB in fragments of 64 bytes to 4 MiB`, async () => {
    const sizes = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
    for (const [n, fragment] of sizes.entries()) {
      await echo(`9.${3 + i}.${n + 1}`, opcode, 4 * MIB, { fragment });
    }
  });

  test(`9.${5 + i}: ${name} messages of 1 MiB in pieces of 64 to 2,048 bytes`, async () => {
    for (const [n, chop] of [64, 128, 256, 512, KIB, 2 * KIB].entries()) {
      await echo(`9.${5 + i}.${n + 1}`, opcode, MIB, { chop });
    }
  });

  test(`9.${7 + i}: 1,000 ${name} messages of 0 to 4,096 bytes, there and back`, async () => {
    for (const [n, size] of [0, 16, 64, 256, KIB, 4 * KIB].entries()) {
      for (const role of ROLES) {
        const peer = await rig.open(role);
        for (let count = 0; count < 1_000; count += 1) {
          const data = CONTENT.subarray(count, count + size);
          await peer.send(peer.frame(opcode, data));
          const answer = await peer.read();
          assert.ok(
            answer?.opcode === opcode && answer.payload.equals(data),
            `9.${7 + i}.${n + 1}`,
          );
        }
        await peer.finish(`9.${7 + i}.${n + 1}`);
      }
    }
  });
}
