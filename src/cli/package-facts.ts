/** What package.json says of this package: its version and the Node that it needs. Read when it is asked for. */

import { readFileSync } from 'node:fs';

export interface PackageFacts {
  readonly version: string;
  /** Without the `>=` in front. */
  readonly nodeVersionMin: string;
}

interface PackageFile {
  readonly name?: string;
  readonly version?: string;
  readonly engines?: { readonly node?: string };
}

/** package.json is two folders above in the published package, and more above the compiled tests. */
export function readPackageFacts(): PackageFacts {
  let folder = new URL('../../', import.meta.url);
  for (;;) {
    const { name, version, engines } = readPackageFile(new URL('package.json', folder));
    if (name === 'millrace' && version !== undefined && engines?.node !== undefined) {
      return { version, nodeVersionMin: engines.node.replace('>=', '') };
    }
    const above = new URL('../', folder);
    if (above.href === folder.href) {
      throw new Error('The package.json of millrace is missing: install it again');
    }
    folder = above;
  }
}

function readPackageFile(url: URL): PackageFile {
  try {
    return JSON.parse(readFileSync(url, 'utf8')) as PackageFile;
  } catch {
    return {};
  }
}
