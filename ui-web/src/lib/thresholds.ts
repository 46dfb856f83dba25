// SPDX-License-Identifier: Apache-2.0

export type Grade = 'good' | 'fair' | 'bad';

const rising = (good_below: number, bad_above: number) => (value: number | undefined) =>
  value === undefined ? undefined : value < good_below ? 'good' : value > bad_above ? 'bad' : 'fair';

/** Per cent of packets that never came. */
export const grade_loss: (percent: number | undefined) => Grade | undefined = rising(1, 2.5);
export const grade_rtt: (ms: number | undefined) => Grade | undefined = rising(50, 150);
export const grade_jitter: (ms: number | undefined) => Grade | undefined = rising(30, 80);
/** Mouth to ear; 150 and 400 ms are the limits of ITU-T G.114. */
export const grade_delay: (ms: number | undefined) => Grade | undefined = rising(150, 400);

/** Mean opinion score 1 … 5; below 3.1 nearly everybody is dissatisfied (ITU-T G.107 Annex B). */
export function grade_mos(mos: number | undefined): Grade | undefined {
  if (mos === undefined) return undefined;
  return mos >= 4 ? 'good' : mos < 3.1 ? 'bad' : 'fair';
}

export function worst(grades: (Grade | undefined)[]): Grade | undefined {
  if (grades.includes('bad')) return 'bad';
  if (grades.includes('fair')) return 'fair';
  return grades.includes('good') ? 'good' : undefined;
}
