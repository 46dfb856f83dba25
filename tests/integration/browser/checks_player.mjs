// SPDX-License-Identifier: Apache-2.0
import { must, until } from './report.mjs';

const slider = '.seek input';
const position = (page) => page.$eval(slider, (input) => Number(input.value));

export async function check_player({ report, shot }, page) {
  const loaded = await report.check('A/B player: both recordings load', async () => {
    const answers = [];
    page.on('response', (response) => {
      if (response.url().includes('/api/v1/recordings/')) answers.push(response.status());
    });
    await page.locator('.card.span-12 header button').click();
    await page.waitForSelector(`${slider}, .card.span-12 .notice`, { timeout: 40_000 });
    must((await page.locator(slider).count()) === 1, `answers ${answers.join(', ')}`);
    const seconds = await page.$eval(slider, (input) => Number(input.max));
    must(seconds > 1, `${seconds} s only`);
    return `${seconds.toFixed(1)} s`;
  });
  if (!loaded) return;
  await report.check('A/B player: plays, and switches without losing its place', async () => {
    await page.click('.player .play');
    await until(async () => (await position(page)) > 0.3, 5000, 'the position does not move');
    const before = await position(page);
    await page.locator('.switch button').nth(0).click();
    const pressed = await page.locator('.switch button').nth(0).getAttribute('aria-pressed');
    must(pressed === 'true', 'side A is not chosen');
    await page.waitForTimeout(300);
    const after = await position(page);
    must(after >= before && after < before + 3, `from ${before} to ${after} s`);
    await page.locator('.switch button').nth(0).press('b');
    const back = await page.locator('.switch button').nth(1).getAttribute('aria-pressed');
    must(back === 'true', 'key B does nothing');
    await page.click('.player .play');
  });
  await report.check('A/B player: both spectrograms are drawn', async () => {
    await page.waitForTimeout(500);
    const shares = await page.$$eval('.pictures canvas', (all) =>
      all.map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let set = 0;
        for (let i = 3; i < data.length; i += 4) if (data[i] === 255) set++;
        return set / (data.length / 4);
      }),
    );
    must(shares.length === 2 && shares.every((share) => share === 1), shares.join(', '));
  });
  await page.locator('.card.span-12').screenshot(shot('player.png'));
}
