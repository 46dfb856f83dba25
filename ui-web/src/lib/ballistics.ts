// SPDX-License-Identifier: Apache-2.0

/** The bar ends here; what is quieter shows as an empty bar. */
export const kFloorDb = -70;
/** A sample this close to full scale counts as clipped; 16-bit converters stop at -0.0003 dBFS. */
export const kClipDb = -0.05;

const kPeakHoldMs = 1500;
const kPeakFallDbPerMs = 0.02;
const kClipHoldMs = 3000;
/** The bar rises at once and falls like a needle, so that the eye can follow speech. */
const kBarFallDbPerMs = 0.06;

/** Share of the bar that is lit, 0 … 1. */
export const share_of_bar = (db: number): number =>
  Math.min(1, Math.max(0, (db - kFloorDb) / -kFloorDb));

/** How one meter moves: level, held peak, clip light. Times in ms, levels in dBFS. */
export class Ballistics {
  bar_db = kFloorDb;
  peak_db = kFloorDb;
  clipped = false;
  private peak_until_ = 0;
  private clip_until_ = 0;
  private last_ms_: number | undefined;

  update(rms_db: number, peak_db: number, now_ms: number): void {
    const passed = Math.max(0, now_ms - (this.last_ms_ ?? now_ms));
    this.last_ms_ = now_ms;
    this.bar_db = Math.max(rms_db, this.bar_db - passed * kBarFallDbPerMs);
    if (peak_db >= this.peak_db) {
      this.peak_db = peak_db;
      this.peak_until_ = now_ms + kPeakHoldMs;
    } else if (now_ms > this.peak_until_) {
      this.peak_db = Math.max(peak_db, this.peak_db - passed * kPeakFallDbPerMs);
    }
    if (peak_db >= kClipDb) this.clip_until_ = now_ms + kClipHoldMs;
    this.clipped = now_ms < this.clip_until_;
  }
}
