// SPDX-License-Identifier: Apache-2.0
// The administrator's page in a real browser: signing in, making a meeting, a phone and a fault by
// keyboard; nothing from elsewhere, no breach of the content security policy, axe is content.
import { strict as assert } from 'node:assert';
import { axe_violations, launch, new_page, Watch } from '../browser/browser.mjs';

const [, , url, token, out] = process.argv;
const browser = await launch('/usr/bin/chromium');
const watch = new Watch(url);
let passed = 0;
const check = async (name, test) => {
  await test();
  passed += 1;
  console.log(`ok ${name}`);
};
try {
  for (const colorScheme of ['light', 'dark']) {
    const page = await new_page(browser, watch, { viewport: { width: 1360, height: 860 }, colorScheme });
    await page.goto(url);
    await check(`a wrong token is told (${colorScheme})`, async () => {
      await page.fill('#token', 'wrong');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#login-error:not([hidden])');
      assert.match(await page.textContent('#login-error'), /not the token/);
    });
    await check(`signing in by keyboard (${colorScheme})`, async () => {
      await page.fill('#token', token);
      await page.keyboard.press('Enter');
      await page.waitForSelector('.meeting');
      assert.equal(await page.evaluate(() => document.cookie), '');
    });
    if (colorScheme === 'light') {
      await check('a meeting is made', async () => {
        await page.click('#new-meeting');
        await page.fill('#m-id', 'from-page');
        await page.fill('#m-title', '<b>Made</b> on the page');
        await page.keyboard.press('Enter');
        await page.waitForSelector('text=<b>Made</b> on the page');
      });
    }
    await check(`tabs by arrow keys; a phone is added (${colorScheme})`, async () => {
      await page.focus('#tab-meetings');
      await page.keyboard.press('ArrowRight');
      await page.waitForSelector('#phones:not([hidden])');
      await page.click('#new-phone');
      await page.fill('#p-serial', `PAGE-${colorScheme}`);
      await page.keyboard.press('Enter');
      await page.waitForSelector(`text=PAGE-${colorScheme}`);
    });
    await check(`a fault is ordered and taken back (${colorScheme})`, async () => {
      await page.click('#tab-faults');
      await page.waitForSelector('.kind');
      assert.ok((await page.locator('.kind').count()) >= 54);
      await page.fill('#fault-find', 'JOIN-983');
      await page.check('input[value="JOIN-983"]');
      await page.click('#order button[type=submit]');
      await page.waitForSelector('#orders li');
      await page.click('#orders button');
      await page.waitForSelector('#no-orders:not([hidden])');
    });
    for (const tab of ['meetings', 'phones', 'faults', 'health']) {
      await page.click(`#tab-${tab}`);
      await page.waitForTimeout(300);
      await page.screenshot({ path: `${out}/admin-${tab}-${colorScheme}.png` });
      await check(`axe: ${tab} (${colorScheme})`, async () => {
        assert.deepEqual(await axe_violations(page), []);
      });
    }
    await page.context().close();
  }
  await check('nothing from elsewhere, no breach of the policy', async () => {
    assert.deepEqual(watch.foreign_requests, []);
    assert.deepEqual(watch.policy_violations, []);
    assert.deepEqual(watch.console_errors.filter((line) => !line.includes('401')), []);
  });
} finally {
  await browser.close();
}
console.log(`${passed} passed`);
