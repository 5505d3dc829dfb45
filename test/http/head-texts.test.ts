import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadTexts, lengthAndEnd } from '../../src/http/head-texts.js';
import { prepareFields } from '../../src/http/response-fields.js';

test('a beginning is its status line, the common fields and the prepared ones', () => {
  const texts = new HeadTexts();
  const plain = prepareFields({ 'Content-Type': 'text/plain' });
  assert.equal(
    texts.beginning(200, 'Date: now\r\n', plain),
    'HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain\r\n',
  );
  assert.equal(texts.beginning(204, '', undefined), 'HTTP/1.1 204 No Content\r\n');
});

test('each status, date and set of fields has its own, more of them than are kept', () => {
  const texts = new HeadTexts();
  const prepared = Array.from({ length: 40 }, (_, i) => prepareFields({ 'X-Number': i }));
  for (let round = 0; round < 2; round += 1) {
    for (const [i, fields] of prepared.entries()) {
      for (const [status, phrase] of [
        [200, 'OK'],
        [404, 'Not Found'],
      ] as const) {
        for (const date of ['Date: a\r\n', 'Date: b\r\n', '']) {
          assert.equal(
            texts.beginning(status, date, fields),
            `HTTP/1.1 ${status} ${phrase}\r\n${date}X-Number: ${i}\r\n`,
          );
        }
      }
    }
  }
});

test('the length ends the head', () => {
  for (const length of [0, 1, 13, 4_095, 4_096, 1_000_000, 13]) {
    assert.equal(lengthAndEnd(length), `Content-Length: ${length}\r\n\r\n`);
  }
});
