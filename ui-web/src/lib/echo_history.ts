// SPDX-License-Identifier: Apache-2.0

export const kHistorySeconds = 60;
const kStepMs = 250;
const kCapacity = (kHistorySeconds * 1000) / kStepMs + 2;

/**
 * Echo reduction over the last minute, four values a second. While the far end is silent there
 * is no echo to reduce, and the curve has a gap.
 */
export class EchoHistory {
  readonly at_ms: number[] = [];
  readonly erle_db: (number | null)[] = [];
  readonly far_active: boolean[] = [];
  private far_in_step_ = false;
  private newest_db_ = 0;

  /** True when the frame completed a step, so that there is something new to show. */
  add(now_ms: number, erle_db: number, far_active: boolean): boolean {
    if (far_active) {
      this.far_in_step_ = true;
      this.newest_db_ = erle_db;
    }
    const last = this.at_ms[this.at_ms.length - 1];
    if (last !== undefined && now_ms - last < kStepMs) return false;
    this.at_ms.push(now_ms);
    this.erle_db.push(this.far_in_step_ ? this.newest_db_ : null);
    this.far_active.push(this.far_in_step_);
    this.far_in_step_ = false;
    if (this.at_ms.length > kCapacity) {
      this.at_ms.shift();
      this.erle_db.shift();
      this.far_active.shift();
    }
    return true;
  }
}
