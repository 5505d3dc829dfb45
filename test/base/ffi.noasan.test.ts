/** Libraries bound before the program's own symbols (RTLD_DEEPBIND), which AddressSanitizer does not go with. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { declareFunctions } from '../../src/base/ffi.js';

it('declareFunctions() throws for a library that is not there', () => {
  assert.throws(() => declareFunctions('/nowhere/library.so', {}));
});
