// SPDX-License-Identifier: Apache-2.0
import { axe_violations, main_thread_ms_per_s, new_page } from './browser.mjs';
import { must } from './report.mjs';
import { phone_state } from './second_socket.mjs';

const kMainThreadLimit = 400;

const meter_texts = (page) => page.locator('.meter .value').allTextContents();
const bar_lengths = (page) =>
  page.$$eval('.meter .bar', (all) => all.map((element) => element.style.clipPath));

/** Share of the canvas' pixels that are not transparent. */
const painted = (page, selector) =>
  page.$eval(selector, (canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let set = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i] > 0) set++;
    return set / (data.length / 4);
  });

export async function check_dashboard({ browser, watch, report, options, shot, ...rest }, page, storage) {
  await report.check('a meter for each microphone, the loudspeaker and what is sent', async () => {
    await page.waitForSelector('.meter');
    const state = await phone_state(page);
    const mics = Object.keys(state.audio?.mics ?? {}).length;
    const meters = await page.locator('.meter').count();
    must(mics > 0 && meters === mics + 2, `${meters} meters for ${mics} microphones`);
    return `${mics} microphones`;
  });
  await report.check('the meters move', async () => {
    const numbers = await meter_texts(page);
    const bars = await bar_lengths(page);
    await page.waitForTimeout(1500);
    const new_numbers = await meter_texts(page);
    const new_bars = await bar_lengths(page);
    const moved = (a, b) => a.filter((value, i) => value !== b[i]).length;
    must(moved(numbers, new_numbers) > 0, 'no number changed');
    must(moved(bars, new_bars) > 0, 'no bar changed');
    return `${moved(bars, new_bars)} of ${bars.length} bars`;
  });
  await report.check('meters arrive at 20 Hz', async () => {
    const read = () => page.evaluate(() => window.second_socket.meter_frames);
    // On a machine that is busy with other things one window may say more of it than of the phone.
    let rate = 0;
    for (let window = 0; window < 3 && (rate < 15 || rate > 25); ++window) {
      const before = await read();
      const start = Date.now();
      await page.waitForTimeout(3000);
      rate = ((await read()) - before) / ((Date.now() - start) / 1000);
    }
    report.figure('meter_rate_hz', Number(rate.toFixed(1)));
    must(rate > 15 && rate < 25, `${rate.toFixed(1)} Hz`);
    return `${rate.toFixed(1)} Hz`;
  });
  await report.check('the polar plot is drawn', async () => {
    const share = await painted(page, '.talker canvas');
    must(share > 0.01, `${(100 * share).toFixed(2)} % painted`);
  });
  await report.check('the chart of echo reduction is drawn, and pauses', async () => {
    must((await painted(page, '.echo-plot canvas')) > 0.005, 'nothing painted');
    const button = page.locator('.card:has(.echo-plot) header button');
    await button.click();
    must((await button.getAttribute('aria-pressed')) === 'true', 'not paused');
    await button.click();
  });
  await report.check('health: time per block, late, gaps and violations', async () => {
    const state = await phone_state(page);
    must(state.audio?.engine?.cpu_us?.p50 !== undefined, 'the phone tells no figures');
    const words = await page.textContent('.card:has(.budget)');
    must(!/usual–/.test(words), 'the page shows none');
  });
  const state = await phone_state(page);
  if (state.call?.state === 'active') {
    await report.check('F107 call quality with a judgement', async () => {
      await page.waitForSelector('.figures .grade .chip', { timeout: 5000 });
    });
    await report.check('the roster shows this room', async () => {
      await page.waitForSelector('.people li', { timeout: 5000 });
      must(/this room/.test(await page.textContent('.people')), 'this room is missing');
    });
  } else {
    report.skip('call quality and roster', 'not in a conference');
  }
  await report.check('the page rests while the meters move', async () => {
    const ms = await main_thread_ms_per_s(page, 5);
    report.figure('main_thread_ms_per_s', Number(ms.toFixed(0)));
    must(ms < kMainThreadLimit, `${ms.toFixed(0)} ms of each second`);
    return `${ms.toFixed(0)} ms of each second`;
  });
  await report.check('dashboard, light: axe finds nothing', () => axe_clean(page));
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot(shot('dashboard-light.png'));
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.waitForTimeout(1200);
  await report.check('dashboard, dark: axe finds nothing', () => axe_clean(page));
  await page.screenshot(shot('dashboard-dark.png'));
  await page.emulateMedia({ colorScheme: 'light' });

  await check_phone_width({ browser, watch, report, options, shot, ...rest }, storage);
}

export async function axe_clean(page) {
  const violations = await axe_violations(page);
  must(violations.length === 0, violations.join('; '));
}

async function check_phone_width({ browser, watch, report, options, shot, kPhone }, storage) {
  const page = await new_page(browser, watch, {
    viewport: kPhone,
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    storageState: storage,
  });
  await page.goto(options.url);
  await page.waitForSelector('.meter');
  await page.waitForTimeout(1500);
  await report.check('phone width: nothing is wider than the screen', async () => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    must(wide <= kPhone.width, `${wide} px`);
  });
  if ((await page.locator('button.mute').count()) > 0) {
    await report.check('phone width: mute and meters are in the first screen', async () => {
      for (const selector of ['button.mute', '.meter']) {
        const box = await page.locator(selector).first().boundingBox();
        must(box && box.y + box.height <= kPhone.height, `${selector} is further down`);
      }
      const mute = await page.locator('button.mute').boundingBox();
      must(mute.height >= 44 && mute.width >= 44, 'the mute button is small');
    });
  }
  await report.check('phone width: axe finds nothing', () => axe_clean(page));
  await page.screenshot(shot('dashboard-phone.png'));
  await page.context().close();
}
