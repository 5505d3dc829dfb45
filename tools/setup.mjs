/**
 * Gets a checkout ready: installs what package-lock.json names, compiles what changed. Every other tool starts here.
 *
 * All work is skipped when nothing changed: what is installed is compared with the lock file, and the outputs with a
 * fingerprint of their inputs that is kept in .build/.
 */
// @ts-check

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { describeEnd, listFiles, note, ROOT, ToolError } from './tool.mjs';

/** The main program of the package, which npm links as `millrace`. */
export const COMMAND_LINE = 'dist/cli/main.js';

/** npm's own record of what it installed. */
const INSTALLED_RECORD = 'node_modules/.package-lock.json';

/**
 * What is compiled. Sources keep their paths from `base` below `out`; the fingerprint lies in `stamp`, which is outside
 * of dist/, since that is published.
 */
const PUBLISHED = {
  what: 'src',
  config: 'tsconfig.build.json',
  folders: ['src'],
  base: 'src',
  out: 'dist',
  stamp: '.build/dist.stamp',
};
const TESTED = {
  what: 'src, test and bench',
  config: 'tsconfig.json',
  folders: ['src', 'test', 'bench'],
  base: '.',
  out: '.build',
  stamp: '.build/test.stamp',
};

/**
 * Throws a ToolError with one clear message if Node is too old or the system is none that is supported.
 *
 * @param {{ version?: string, platform?: string, arch?: string }} [host] For a test: another host than this one.
 */
export function checkHost(host = {}) {
  const {
    version = process.versions.node,
    platform = process.platform,
    arch = process.arch,
  } = host;
  const wanted = readJson('package.json').engines.node.replace('>=', '');
  const supported = `Supported: Linux on x64 and arm64, Node ${wanted} or later.`;
  if (isOlder(version, wanted)) throw new ToolError(`Node ${version} is too old. ${supported}`);
  if (platform !== 'linux') {
    const cure = platform === 'win32' ? 'Use WSL 2 or a Linux container' : 'Use a Linux container';
    throw new ToolError(
      `This version drives epoll, a system call of Linux, and does not run on ${platform}. ` +
        `${supported} ${cure}.`,
    );
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new ToolError(`This version does not run on ${arch} processors. ${supported}`);
  }
}

/**
 * Runs `npm ci` unless node_modules already holds what package-lock.json names for this platform.
 *
 * npm's own configuration (.npmrc files, environment) applies. Only two things are said explicitly: no install scripts,
 * and with `dev` the development packages even where NODE_ENV=production or `omit` would leave them out.
 *
 * @param {{ dev: boolean }} options `dev`: also what building and testing need.
 */
export function ensureInstalled({ dev }) {
  checkHost();
  const reason = reasonToInstall(dev);
  if (reason === undefined) return;
  const args = ['ci', '--ignore-scripts', dev ? '--include=dev' : '--omit=dev'];
  note(`${reason}: installing what package-lock.json names (npm ${args.join(' ')})`);
  // npm's standard output goes to our standard error, and it has no standard input to ask questions on.
  const npm = spawnSync('npm', args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (npm.error !== undefined) {
    throw new ToolError(`Cannot run npm, which comes with Node: ${npm.error.message}`);
  }
  if (npm.status !== 0) {
    throw new ToolError(
      `npm ci failed (${describeEnd(npm)}), see its message above. ` +
        'If it cannot reach a registry, name one with `npm config set registry`. ' +
        'If package.json and package-lock.json differ, ' +
        'run `npm install` and commit both.',
    );
  }
  const left = reasonToInstall(dev);
  if (left !== undefined) throw new ToolError(`npm ci ended well, and yet ${left}.`);
}

/** Compiles src to dist/ if something changed. */
export function ensureBuilt() {
  compile(PUBLISHED);
  if (existsSync(join(ROOT, COMMAND_LINE))) chmodSync(join(ROOT, COMMAND_LINE), 0o755);
}

/** Compiles src, test and bench to .build/ if something changed. */
export function ensureTestBuilt() {
  compile(TESTED);
}

/**
 * Why node_modules does not do, or undefined when it does.
 *
 * @param {boolean} dev
 * @returns {string | undefined}
 */
function reasonToInstall(dev) {
  if (!existsSync(join(ROOT, INSTALLED_RECORD))) return 'there is no node_modules made by npm';
  const installed = readJson(INSTALLED_RECORD).packages;
  for (const [path, wanted] of Object.entries(readJson('package-lock.json').packages)) {
    if (path === '' || (wanted.dev && !dev) || !suitsHost(wanted)) continue;
    const found = installed[path];
    if (found === undefined || !existsSync(join(ROOT, path, 'package.json'))) {
      return `${path} is missing`;
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity) {
      return `${path} is not the version ${wanted.version} of the lock file`;
    }
  }
  return undefined;
}

/**
 * Whether npm installs this package here: packages with compiled code come once for each platform.
 *
 * @param {{ os?: string[], cpu?: string[], libc?: string[] }} entry
 */
function suitsHost({ os, cpu, libc }) {
  return (
    (os?.includes(process.platform) ?? true) &&
    (cpu?.includes(process.arch) ?? true) &&
    (libc?.includes(hostLibc()) ?? true)
  );
}

function hostLibc() {
  const report = /** @type {{ excludeNetwork?: boolean, getReport(): any }} */ (process.report);
  // Without this, Node looks up a name for each address of the host.
  report.excludeNetwork = true;
  return report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

/** @param {typeof PUBLISHED} project */
function compile(project) {
  const { what, config, out, stamp } = project;
  const sources = project.folders.flatMap(listFiles).filter(isSource);
  const fingerprint = fingerprintOf([...sources, config, TESTED.config, 'package-lock.json']);
  const outputs = new Set(sources.flatMap((path) => outputsOf(relative(project.base, path), out)));
  if (isFresh(stamp, fingerprint) && allExist(outputs)) return;
  note(`compiling ${what} to ${out}/ (tsc -p ${config})`);
  rmSync(join(ROOT, stamp), { force: true });
  removeOrphans(project, outputs);
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const tsc = spawnSync(process.execPath, [compiler, '-p', config], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (tsc.status !== 0) throw new ToolError(`tsc -p ${config} failed (${describeEnd(tsc)}).`);
  mkdirSync(dirname(join(ROOT, stamp)), { recursive: true });
  writeFileSync(join(ROOT, stamp), fingerprint);
}

/** @param {string} path */
function isSource(path) {
  return path.endsWith('.ts') && !path.endsWith('.d.ts');
}

/**
 * What tsc may make of one source. Only the first is always made.
 *
 * @param {string} path From the project's base.
 * @param {string} out
 */
function outputsOf(path, out) {
  const stem = join(out, path.slice(0, -'.ts'.length));
  return ['.js', '.js.map', '.d.ts', '.d.ts.map'].map((ending) => stem + ending);
}

/**
 * Removes outputs whose source is gone, and folders that this empties: a dead test must not run on.
 *
 * @param {typeof PUBLISHED} project
 * @param {Set<string>} outputs
 */
function removeOrphans({ folders, base, out }, outputs) {
  for (const folder of folders) {
    const compiled = join(out, relative(base, folder));
    for (const path of listFiles(compiled)) {
      if (/\.(js|d\.ts)(\.map)?$/.test(path) && !outputs.has(path)) rmSync(join(ROOT, path));
    }
    if (existsSync(join(ROOT, compiled))) removeEmptyFolders(join(ROOT, compiled));
  }
}

/** @param {string} folder Absolute. */
function removeEmptyFolders(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name));
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}

/**
 * Of names, sizes and times. Unlike "newer than the stamp" it also sees a file that is gone, or an older one put back.
 *
 * @param {string[]} paths
 */
function fingerprintOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const { size, mtimeMs } = statSync(join(ROOT, path));
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/**
 * @param {string} stamp
 * @param {string} fingerprint
 */
function isFresh(stamp, fingerprint) {
  return existsSync(join(ROOT, stamp)) && readFileSync(join(ROOT, stamp), 'utf8') === fingerprint;
}

/** @param {Set<string>} outputs */
function allExist(outputs) {
  return [...outputs].every((path) => !path.endsWith('.js') || existsSync(join(ROOT, path)));
}

/**
 * @param {string} version
 * @param {string} wanted Dotted numbers, both; a missing part counts as 0.
 */
function isOlder(version, wanted) {
  const have = version.split('.').map(Number);
  const need = wanted.split('.').map(Number);
  for (let i = 0; i < need.length; i++) {
    const difference = (have[i] ?? 0) - (need[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** @param {string} path From the root. */
function readJson(path) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}
