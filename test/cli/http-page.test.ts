/** The page of `millrace http`, in headless Chromium. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BrowserPage, hasBrowser } from '../support/browser.js';
import { startCommand } from '../support/spawned-program.js';

test('the page shows live figures and echoes over WebSockets', { skip: !hasBrowser }, async (t) => {
  const server = startCommand(t, ['http', '--listen', 'tcp://127.0.0.1:0']);
  const url = (await server.addresses())[0]!.replace('tcp:', 'http:');
  const page = await BrowserPage.open(t, `${url}/`);
  await page.until("document.getElementById('state')?.textContent === 'live'");
  const receives = "Number(document.getElementById('receives')?.textContent.replaceAll(',', ''))";
  await page.until(`${receives} > 0`);
  // Whichever it is here, the ready line says the same.
  const driver = String(await page.evaluate("document.getElementById('driver').textContent"));
  assert.match(driver, /^(epoll|uring)$/);
  assert.ok(server.stdout.includes(`(${driver}, `), server.stdout);
  const before = (await page.evaluate(receives)) as number;
  await page.evaluate("document.getElementById('text').value = 'grüße'");
  await page.evaluate("document.querySelector('button').click()");
  await page.until("document.getElementById('echo').textContent === 'grüße\\n'");
  // What was just received shows, too.
  await page.until(`${receives} > ${before}`);
});
