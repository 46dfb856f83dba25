// SPDX-License-Identifier: Apache-2.0

/** One line for each check as it is made; counts them. */
export class Report {
  passed = 0;
  failed = 0;
  skipped = 0;
  figures = {};

  /** `act` throws, or answers false or a text, when the check fails. */
  async check(name, act) {
    try {
      const answer = await act();
      if (answer === false) throw new Error('not so');
      this.passed++;
      console.log(`ok      ${name}${typeof answer === 'string' ? ` (${answer})` : ''}`);
      return true;
    } catch (error) {
      this.failed++;
      const first_line = String(error?.message ?? error).split('\n')[0];
      console.log(`FAILED  ${name}: ${first_line}`);
      return false;
    }
  }

  skip(name, why) {
    this.skipped++;
    console.log(`skipped ${name}: ${why}`);
  }

  figure(name, value) {
    this.figures[name] = value;
    console.log(`figure  ${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  }
}

export function must(condition, words) {
  if (!condition) throw new Error(words);
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

export const summary = (values) => ({
  n: values.length,
  p50: Number(percentile(values, 0.5).toFixed(2)),
  p95: Number(percentile(values, 0.95).toFixed(2)),
});

/** Asks again until the answer is true; the time-out is in milliseconds. */
export async function until(ask, timeout, words) {
  const end = Date.now() + timeout;
  for (;;) {
    if (await ask()) return;
    must(Date.now() < end, `${words} (waited ${timeout} ms)`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
