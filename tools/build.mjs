/** `npm run build`: installs what is missing and compiles src to dist/. */
// @ts-check

import { ensureBuilt, ensureInstalled } from './setup.mjs';
import { runTool } from './tool.mjs';

await runTool(() => {
  ensureInstalled({ dev: true });
  ensureBuilt();
});
