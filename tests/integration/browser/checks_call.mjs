// SPDX-License-Identifier: Apache-2.0
import { far_level_db } from './far_end.mjs';
import { must, summary, until } from './report.mjs';
import {
  click_to_button_times,
  mute_to_patch_times,
  open_second_socket,
  phone_state,
  ping_times,
} from './second_socket.mjs';

const kSilenceDb = -60;
const kPatchLimitMs = 50;

const in_call = (page) => phone_state(page).then((state) => state.call?.state === 'active');
const pressed = (page) => page.getAttribute('button.mute', 'aria-pressed');
const sent_text = (page) => page.locator('.meter').last().locator('.value').textContent();

/** Level of the meter "to conference" in dBFS as the page shows it; silence reads as -200. */
async function sent_db(page) {
  const words = (await sent_text(page)).replace('−', '-');
  return /∞/.test(words) ? -200 : Number(words);
}

export async function check_call({ report, options, far, shot }, page) {
  await report.check('F109 a second client sees the state tree', () => open_second_socket(page));

  if (!(await in_call(page)) && options.passcode) {
    await report.check('an empty passcode is refused on the page', async () => {
      await page.fill('#passcode', '');
      await page.click('form.join button[type=submit]');
      must(await page.locator('.join .problem').first().isVisible(), 'no message');
    });
    await report.check('F118 a malformed e-mail address is refused on the page', async () => {
      await page.fill('#passcode', options.passcode);
      await page.fill('#email', 'nobody@');
      await page.click('form.join button[type=submit]');
      must(await page.locator('.join .problem').first().isVisible(), 'no message');
      await page.fill('#email', '');
    });
    await report.check('F127 a wrong passcode ends in message, cause and remedy', async () => {
      await page.fill('#passcode', '999999999');
      await page.click('form.join button[type=submit]');
      await page.waitForSelector('.call .notice', { timeout: 30_000 });
      const words = await page.textContent('.call .notice');
      must(/cause/i.test(words) && /what to do/i.test(words), words);
    });
    await report.check('F119 join with a passcode', async () => {
      await page.waitForSelector('#passcode', { timeout: 15_000 });
      await page.fill('#passcode', options.passcode);
      await page.click('form.join button[type=submit]');
      await page.waitForSelector('button.mute:enabled', { timeout: 30_000 });
    });
    await page.screenshot(shot('joined.png'));
  }
  if (!(await in_call(page))) {
    report.skip('F114 mute and everything of a call', 'not in a conference, and no --passcode');
    return;
  }

  await report.check('the card shows conference, role and security', async () => {
    const state = await phone_state(page);
    const words = await page.textContent('section.call');
    must(words.includes(state.call.conference.title), 'no title');
    must(/chairperson|participant/i.test(words), 'no role');
    must(/SRTP/i.test(words), 'no security');
  });

  await report.check('state changes reach a browser within 50 ms (p95)', async () => {
    const ping = summary(await ping_times(page, 40));
    const patch = summary(await mute_to_patch_times(page, 15));
    const click = summary(await click_to_button_times(page, 10));
    report.figure('ping_ms', ping);
    report.figure('mute_to_patch_ms', patch);
    report.figure('click_to_button_ms', click);
    must(patch.p95 <= kPatchLimitMs, `p95 ${patch.p95} ms`);
    return `p50 ${patch.p50} ms, p95 ${patch.p95} ms`;
  });

  const listens = far.command || far.recording;
  if (listens) {
    await report.check('the far end hears the room', async () => {
      // The talkers of a room pause; a few seconds hold a word.
      let loudest = -120;
      await until(
        () => {
          loudest = Math.max(loudest, far_level_db(far));
          return loudest > kSilenceDb + 10;
        },
        15_000,
        'the far end hears nothing',
      );
      return `${loudest.toFixed(1)} dBFS`;
    });
  }

  await report.check('F114 the mute button mutes, and the page says so', async () => {
    must((await pressed(page)) === 'false', 'muted before the check');
    await page.click('button.mute');
    await until(async () => (await pressed(page)) === 'true', 3000, 'the button did not change');
    const state = await phone_state(page);
    must(state.call.muted === true, 'the state tree does not say muted');
    const announced = () => page.textContent('[role=status].visually-hidden');
    await until(async () => /muted/i.test(await announced()), 2000, 'nothing is announced');
  });
  await report.check('F114 muted, the phone sends silence', () =>
    until(async () => (await sent_db(page)) < kSilenceDb, 3000, 'the sent meter still moves'),
  );
  if (listens) {
    await report.check('F114 muted, the far end hears silence', async () => {
      // What was said before is still on its way and in the recording's buffers; then not a word more.
      await page.waitForTimeout(1500);
      await until(() => far_level_db(far) < kSilenceDb, 5000, 'the far end still hears the room');
      const levels = [];
      for (let i = 0; i < 8; ++i) {
        levels.push(far_level_db(far));
        await page.waitForTimeout(300);
      }
      const loudest = Math.max(...levels);
      report.figure('far_end_muted_dbfs', Number(loudest.toFixed(1)));
      must(loudest < kSilenceDb, `${loudest.toFixed(1)} dBFS`);
      return `${loudest.toFixed(1)} dBFS`;
    });
  } else {
    report.skip('F114 muted, the far end hears silence', 'neither command nor recording given');
  }
  await page.screenshot(shot('muted.png'));
  await report.check('F114 key M unmutes', async () => {
    await page.locator('body').press('m');
    await until(async () => (await pressed(page)) === 'false', 3000, 'still muted');
    const state = await phone_state(page);
    must(state.call.muted !== true, 'the state tree says muted');
  });
}

/** Last of all, because the call is over then. */
export async function check_hang_up({ report }, page) {
  if (!(await in_call(page))) {
    report.skip('hang-up', 'not in a conference');
    return;
  }
  await report.check('hang-up ends the call', async () => {
    await page.click('nav a[href="#/"]');
    await page.click('button.hang-up');
    await page.waitForSelector('#passcode', { timeout: 15_000 });
    await until(
      async () => (await phone_state(page)).call?.state === 'idle',
      5000,
      'the state tree is not idle',
    );
  });
}
