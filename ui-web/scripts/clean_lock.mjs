// SPDX-License-Identifier: Apache-2.0
// Takes every address out of package-lock.json (npm adds the sponsors' pages of each package), so
// that the lock file names versions and checksums only and works with any registry or mirror.
// Run it after a change of dependencies: npm run lock.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const lock = JSON.parse(readFileSync(path, 'utf8'));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  delete entry.resolved;
}
const text = `${JSON.stringify(lock, null, 2)}\n`;
if (/https?:\/\//.test(text)) {
  console.error('package-lock.json still holds an address; look for "http" in it');
  process.exit(1);
}
writeFileSync(path, text);
