/** cli/package-facts: the package is found from wherever it was compiled to. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { readPackageFacts } from '../../src/cli/package-facts.js';
import { ROOT } from '../support/spawned-program.js';

test('version and needed Node are those of package.json', () => {
  const { version, engines } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  const facts = readPackageFacts();
  assert.equal(facts.version, version);
  assert.equal(`>=${facts.nodeVersionMin}`, engines.node);
});
