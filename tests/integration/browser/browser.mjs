// SPDX-License-Identifier: Apache-2.0
// Opens Debian's Chromium and watches what a page does: foreign requests, console errors, breaches
// of the content security policy. playwright-core and axe-core come from ui-web/node_modules.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require_from_ui = createRequire(new URL('../../../ui-web/package.json', import.meta.url));
const { chromium } = require_from_ui('playwright-core');
const axe_source = readFileSync(require_from_ui.resolve('axe-core/axe.min.js'), 'utf8');

export function launch(executable) {
  return chromium.launch({
    executablePath: executable,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
}

/** What went wrong on all watched pages of one run. */
export class Watch {
  foreign_requests = [];
  console_errors = [];
  policy_violations = [];

  constructor(url) {
    this.host = new URL(url).host;
  }

  async attach(page) {
    page.on('request', (request) => {
      const url = new URL(request.url());
      const inside = url.host === this.host || ['blob:', 'data:'].includes(url.protocol);
      if (!inside) this.foreign_requests.push(request.url());
    });
    page.on('websocket', (socket) => {
      if (new URL(socket.url()).host !== this.host) this.foreign_requests.push(socket.url());
    });
    page.on('pageerror', (error) => this.console_errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      const where = message.location().url ?? '';
      // Chromium reports every answer 401 as an error; at the door it is the right answer.
      const at_the_door = /\/api\/v1\/(session|login)$/.test(where);
      if (at_the_door && message.text().includes('401')) return;
      this.console_errors.push(`${message.text()} (${where})`);
    });
    await page.exposeFunction('conclave_policy_violation', (what) =>
      this.policy_violations.push(what),
    );
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        window.conclave_policy_violation(`${event.violatedDirective}: ${event.blockedURI}`);
      });
    });
  }
}

export async function new_page(browser, watch, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  await watch.attach(page);
  return page;
}

/** Violations of WCAG 2.0 … 2.2 A and AA and of axe's best practices, one line each. */
export async function axe_violations(page) {
  await page.evaluate(axe_source);
  return page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ['violations'] });
    return result.violations.map(
      (v) => `${v.id}: ${v.nodes.map((node) => node.target.join(' ')).slice(0, 3).join(', ')}`,
    );
  });
}

/** Bytes on the wire, bodies as they were compressed, from the first request until `act` ends. */
export async function transferred_bytes(page, act) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const bodies = new Map();
  session.on('Network.responseReceived', ({ requestId, response, type }) => {
    if (type !== 'WebSocket') bodies.set(requestId, { url: response.url, bytes: 0 });
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const body = bodies.get(requestId);
    if (body) body.bytes = encodedDataLength;
  });
  await act();
  await session.detach();
  return [...bodies.values()].reduce((sum, body) => sum + body.bytes, 0);
}

/**
 * Milliseconds of CPU that the main thread uses per second while nothing but live data arrives.
 * CPU and not wall-clock time, so that other programs on the machine do not count.
 */
export async function main_thread_ms_per_s(page, seconds) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const task_seconds = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find((m) => m.name === 'TaskDuration').value;
  };
  const before = await task_seconds();
  const start = Date.now();
  await page.waitForTimeout(seconds * 1000);
  const used_ms = 1000 * ((await task_seconds()) - before);
  const passed_s = (Date.now() - start) / 1000;
  await session.detach();
  return used_ms / passed_s;
}
