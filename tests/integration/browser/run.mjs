// SPDX-License-Identifier: Apache-2.0
// Drives the phone's web interface in a real browser and checks what a person would see.
// Prints a line for each check; the last line is "N passed, N failed". Ends with 0 when none failed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, new_page, Watch } from './browser.mjs';
import { check_call, check_hang_up } from './checks_call.mjs';
import { check_dashboard } from './checks_dashboard.mjs';
import { check_first_load, check_login } from './checks_login.mjs';
import { check_link } from './checks_link.mjs';
import { check_player } from './checks_player.mjs';
import { check_settings } from './checks_settings.mjs';
import { must, Report } from './report.mjs';

const kUsage = `node run.mjs --url https://HOST:PORT/ --user NAME --password WORD --out DIR
  --passcode CODE             joins with it when the phone is not in a conference
  --far-level-cmd CMD         prints the level the far end hears now, in dBFS (or JSON with rms_db)
  --far-end-recording PATH    WAV that the far end is recording now; used in place of a command
  --chromium PATH             default /usr/bin/chromium
  --keep-call                 does not hang up at the end`;

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    user: { type: 'string', default: 'admin' },
    password: { type: 'string', default: '1739' },
    out: { type: 'string' },
    passcode: { type: 'string' },
    'far-level-cmd': { type: 'string' },
    'far-end-recording': { type: 'string' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    'keep-call': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help || !options.url || !options.out) {
  console.error(kUsage);
  process.exit(options.help ? 0 : 2);
}
mkdirSync(options.out, { recursive: true });

const kDesktop = { width: 1440, height: 900 };
const kPhone = { width: 390, height: 844 };

const browser = await launch(options.chromium);
const watch = new Watch(options.url);
const report = new Report();
const far = { command: options['far-level-cmd'], recording: options['far-end-recording'] };
const shot = (name) => ({ path: join(options.out, name), animations: 'allow' });
const setting = { browser, watch, report, options, far, shot, kDesktop, kPhone };

try {
  await check_first_load(setting);
  const page = await new_page(browser, watch, { viewport: kDesktop, colorScheme: 'light' });
  const signed_in = await check_login(setting, page);
  if (signed_in) {
    const storage = await page.context().storageState();
    await check_call(setting, page);
    await check_dashboard(setting, page, storage);
    await check_player(setting, page);
    await check_link(setting, storage);
    await check_settings(setting, page);
    if (!options['keep-call']) await check_hang_up(setting, page);
  }
  await report.check('F42 no request to another host', () => {
    const list = watch.foreign_requests;
    must(list.length === 0, `${list.length}, first ${list[0]}`);
  });
  await report.check('no breach of the content security policy', () => {
    const list = watch.policy_violations;
    must(list.length === 0, `${list.length}, first ${list[0]}`);
  });
  await report.check('no error on the console', () => {
    const list = watch.console_errors;
    must(list.length === 0, `${list.length}, first ${list[0]}`);
  });
} catch (error) {
  await report.check('the run reaches its end', () => {
    throw error;
  });
} finally {
  await browser.close();
}

const { passed, failed, skipped, figures } = report;
writeFileSync(
  join(options.out, 'browser.json'),
  `${JSON.stringify({ passed, failed, skipped, figures }, null, 2)}\n`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
