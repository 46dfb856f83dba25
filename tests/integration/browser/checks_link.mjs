// SPDX-License-Identifier: Apache-2.0
import { new_page } from './browser.mjs';
import { must, until } from './report.mjs';

/** A page whose connection runs through our hands, so that it can be cut and made to forget. */
export async function check_link({ browser, watch, report, options, kDesktop }, storage) {
  const page = await new_page(browser, watch, { viewport: kDesktop, storageState: storage });
  const sent = [];
  let route;
  let connections = 0;
  let lose_next_patch = false;
  let refuse = false;
  await page.routeWebSocket(/\/api\/v1\/socket$/, (socket) => {
    connections++;
    if (refuse) {
      socket.close({ code: 4000 });
      return;
    }
    route = socket;
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      if (typeof message === 'string') sent.push(message);
      server.send(message);
    });
    server.onMessage((message) => {
      if (lose_next_patch && typeof message === 'string' && message.includes('"state.patch"')) {
        lose_next_patch = false;
        return;
      }
      socket.send(message);
    });
  });
  await page.goto(options.url);
  await page.waitForSelector('.meter');

  await report.check('a lost patch is noticed, and the state asked for anew', async () => {
    lose_next_patch = true;
    await until(() => sent.some((m) => m.includes('"state.resync"')), 10_000, 'no resync');
  });
  await report.check('a lost connection is said, and comes back by itself', async () => {
    const before = connections;
    refuse = true;
    await route.close({ code: 4000 });
    await page.waitForSelector('.banner', { timeout: 5000 });
    must(/lost/i.test(await page.textContent('.banner')), 'no words');
    must(await page.locator('.stale').isVisible(), 'old values look like new ones');
    await until(() => connections > before, 5000, 'no new attempt');
    refuse = false;
    await page.waitForSelector('.banner', { state: 'detached', timeout: 15_000 });
    await until(async () => (await page.locator('.stale').count()) === 0, 5000, 'still old');
  });
  await page.context().close();
}
