// SPDX-License-Identifier: Apache-2.0
// Writes a .gz and a .br beside every file of dist/ that shrinks: the phone's web server has no
// compressor of its own and hands these out as they are. Prints what a first visit costs.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const kCompressible = /\.(html|js|css|svg|json|txt|webmanifest)$/;

function* files(folder) {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

let total_gz = 0;
for (const path of files(dist)) {
  if (!kCompressible.test(path)) continue;
  const raw = readFileSync(path);
  const gz = gzipSync(raw, { level: 9 });
  const br = brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
  if (gz.length < raw.length) writeFileSync(`${path}.gz`, gz);
  if (br.length < raw.length) writeFileSync(`${path}.br`, br);
  total_gz += gz.length;
  const cell = (n) => String(n).padStart(8);
  console.log(
    `${relative(dist, path).padEnd(36)} raw ${cell(raw.length)}  gz ${cell(gz.length)}  br ${cell(br.length)}`,
  );
}
console.log(`all files, gzip: ${(total_gz / 1000).toFixed(1)} kB`);
