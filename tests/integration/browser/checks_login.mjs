// SPDX-License-Identifier: Apache-2.0
import { axe_violations, new_page, transferred_bytes } from './browser.mjs';
import { must } from './report.mjs';

const kFirstLoadLimit = 80_000;

export async function sign_in(page, options) {
  await page.fill('#user', options.user);
  await page.fill('#password', options.password);
  await page.click('button[type=submit]');
  await page.waitForSelector('section.call', { timeout: 10_000 });
}

/** A visitor's first minute, with an empty cache, up to the live dashboard and its chart. */
export async function check_first_load({ browser, watch, report, options, kDesktop }) {
  const page = await new_page(browser, watch, { viewport: kDesktop });
  await report.check('first load, dashboard with chart, is at most 80 kB compressed', async () => {
    let compressed;
    page.on('response', (response) => {
      if (/\/assets\/index-.*\.js$/.test(response.url())) {
        compressed = response.headers()['content-encoding'];
      }
    });
    const bytes = await transferred_bytes(page, async () => {
      await page.goto(options.url);
      await page.waitForSelector('#password');
      await sign_in(page, options);
      await page.waitForSelector('.echo-plot canvas', { timeout: 10_000 });
    });
    report.figure('first_load_bytes', bytes);
    report.figure('first_load_encoding', compressed ?? 'none');
    must(bytes > 1000, `only ${bytes} bytes were seen`);
    must(bytes <= kFirstLoadLimit, `${bytes} bytes`);
    return `${(bytes / 1000).toFixed(1)} kB`;
  });
  await page.context().close();
}

/** True when somebody is signed in at the end. */
export async function check_login({ report, options }, page) {
  await report.check('F42 the web interface opens over HTTPS', async () => {
    const response = await page.goto(options.url);
    must(response.ok() && options.url.startsWith('https:'), `status ${response.status()}`);
    await page.waitForSelector('#password');
  });
  await report.check('every answer brings a strict content security policy', async () => {
    const response = await page.request.get(options.url);
    const policy = response.headers()['content-security-policy'] ?? '';
    must(policy.includes("default-src 'none'") || policy.includes("default-src 'self'"), policy);
    must(!policy.includes('unsafe-inline') && !policy.includes('unsafe-eval'), policy);
  });
  await report.check('login page: axe finds nothing', async () => {
    const violations = await axe_violations(page);
    must(violations.length === 0, violations.join('; '));
  });
  await report.check('F45 a wrong password is refused in plain words', async () => {
    await page.fill('#user', options.user);
    await page.fill('#password', 'certainly-wrong');
    await page.click('button[type=submit]');
    await page.waitForSelector('.notice', { timeout: 10_000 });
    const words = await page.textContent('.notice strong');
    must(/wrong|too many/i.test(words), words);
    must(await page.locator('#password').isVisible(), 'the login page is gone');
  });
  return report.check('F45 administrator name and password open the dashboard', () =>
    sign_in(page, options),
  );
}
