/** cli/finding: how findings are printed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { formatFindings } from '../../src/cli/finding.js';

test('what is well takes one line; what is not tells why and what to do', () => {
  const text = formatFindings([
    { name: 'Node.js', level: 'ok', value: '20.20.2', why: 'it runs on it' },
    {
      name: 'fs.nr_open',
      level: 'warn',
      value: '1,024',
      why: 'it bounds',
      remedy: 'sysctl -w x=1',
    },
    { name: 'seccomp', level: 'note', value: 'on', why: 'it filters' },
  ]);
  assert.deepEqual(text.split('\n'), [
    'ok    Node.js                       20.20.2',
    'warn  fs.nr_open                    1,024',
    '      why: it bounds',
    '      do:  sysctl -w x=1',
    'note  seccomp                       on',
    '      why: it filters',
  ]);
});
