// SPDX-License-Identifier: Apache-2.0

/**
 * How long to wait before attempt n (0, 1, …) to reach the phone again, in milliseconds. Doubles
 * from half a second to ten seconds; up to a fifth is random, so that many browsers do not knock
 * at the same moment after a restart. `random` is 0 … 1.
 */
export function backoff_ms(attempt: number, random: number): number {
  const step = Math.min(500 * 2 ** Math.min(attempt, 10), 10_000);
  return Math.round(step * (0.8 + 0.2 * random));
}
