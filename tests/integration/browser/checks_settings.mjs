// SPDX-License-Identifier: Apache-2.0
import { axe_clean } from './checks_dashboard.mjs';
import { must, until } from './report.mjs';

export async function check_settings({ report, shot }, page) {
  await page.click('nav a[href="#/settings"]');
  const listed = await report.check('F47 the settings are listed in groups', async () => {
    await page.waitForSelector('.group', { timeout: 10_000 });
    const groups = await page.locator('.group').count();
    must(groups >= 3, `${groups} groups`);
    return `${groups} groups`;
  });
  if (!listed) return;
  await report.check('F46 groups fold open with + and close with -', async () => {
    const button = page.locator('.group h2 button').first();
    must((await button.getAttribute('aria-expanded')) === 'false', 'open at the start');
    await button.click();
    must((await button.getAttribute('aria-expanded')) === 'true', 'does not open');
    must((await page.locator('.group .row').count()) > 0, 'no rows');
    await page.screenshot(shot('settings.png'));
    await button.click();
    must((await page.locator('.group .row').count()) === 0, 'does not close');
  });
  await report.check('the search finds a setting by its name, with value and layer', async () => {
    await page.fill('#search', 'Network.Services.SSHEnabled');
    await until(async () => (await page.locator('.row').count()) === 1, 3000, 'not one row');
    must((await page.locator('.row input').count()) === 1, 'no field');
    must((await page.locator('.row .marks .chip').count()) >= 1, 'no layer');
  });
  await report.check('a changed value is applied, and taken back', async () => {
    await page.fill('#search', 'Network.Services.SSHEnabled');
    const box = page.locator('.row input[type=checkbox]');
    const take_back = page.locator('.row .link-button');
    const apply = async () => {
      await page.click('.apply-bar .primary');
      await page.waitForSelector('.notice.good', { timeout: 10_000 });
      await page.click('.notice.good button');
    };
    if ((await take_back.count()) > 0) {
      await take_back.click();
      await apply();
    }
    const before = await box.isChecked();
    await box.setChecked(!before);
    await apply();
    await until(async () => (await take_back.count()) === 1, 3000, 'the layer is not this one');
    must((await box.isChecked()) === !before, 'the value did not stay');
    await take_back.click();
    await apply();
    await until(async () => (await take_back.count()) === 0, 3000, 'the layer did not change');
    must((await box.isChecked()) === before, 'the old value did not come back');
  });
  await report.check('a value the phone refuses is marked at its field', async () => {
    await page.fill('#search', 'Dvms.Server.Address');
    const field = page.locator('.row input').first();
    if (await field.isDisabled()) return 'locked here, nothing to refuse';
    await field.fill('bad');
    await page.click('.apply-bar .primary');
    await page.waitForSelector('.row .problem', { timeout: 10_000 });
    must((await field.getAttribute('aria-invalid')) === 'true', 'the field is not marked');
    await page.click('.apply-bar button:not(.primary)');
  });
  await report.check('settings: axe finds nothing', async () => {
    await page.fill('#search', '');
    await page.locator('.settings .tools .button').click();
    await axe_clean(page);
  });
  await page.evaluate(() => window.scrollTo(0, 0));
}
