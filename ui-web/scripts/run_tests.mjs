// SPDX-License-Identifier: Apache-2.0
// Compiles test/*.test.ts with the esbuild that Vite brings and hands the result to Node's own
// test runner, so that no test framework has to be installed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require_from_vite = createRequire(createRequire(import.meta.url).resolve('vite'));
const esbuild = require_from_vite('esbuild');

const out = mkdtempSync(join(tmpdir(), 'conclave-ui-tests-'));
const names = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'));
await esbuild.build({
  entryPoints: names.map((name) => join(root, 'test', name)),
  outdir: out,
  bundle: true,
  platform: 'node',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  logLevel: 'warning',
});
const compiled = names.map((name) => join(out, name.replace(/\.ts$/, '.mjs')));
const run = spawnSync(process.execPath, ['--test', ...compiled], { stdio: 'inherit' });
rmSync(out, { recursive: true, force: true });
process.exit(run.status ?? 1);
