// SPDX-License-Identifier: Apache-2.0

const kBlockSeconds = 0.1;
const kSilenceDb = -80;
/** Blocks this far below the average are pauses, as in the relative gate of ITU-R BS.1770. */
const kGateDb = 10;

/**
 * Mean level of what is not a pause, in dBFS; -80 for silence. Two recordings of the same scene
 * sound about equally loud when these are equal.
 */
export function speech_level_db(samples: Float32Array, sample_rate: number): number {
  const block = Math.max(1, Math.round(kBlockSeconds * sample_rate));
  const powers: number[] = [];
  for (let start = 0; start + block <= samples.length; start += block) {
    let sum = 0;
    for (let i = start; i < start + block; ++i) sum += samples[i]! * samples[i]!;
    powers.push(sum / block);
  }
  const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / Math.max(1, list.length);
  const gate = mean(powers) * 10 ** (-kGateDb / 10);
  const power = mean(powers.filter((p) => p > gate));
  return power > 0 ? Math.max(kSilenceDb, 10 * Math.log10(power)) : kSilenceDb;
}

/**
 * Factors that make two levels equal by lowering the louder one, so that nothing can clip.
 * A silent side, such as a muted call, is left alone.
 */
export function matching_gains(a_db: number, b_db: number): [number, number] {
  if (a_db <= kSilenceDb + 10 || b_db <= kSilenceDb + 10) return [1, 1];
  const target = Math.min(a_db, b_db);
  return [10 ** ((target - a_db) / 20), 10 ** ((target - b_db) / 20)];
}
