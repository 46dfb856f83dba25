// SPDX-License-Identifier: Apache-2.0

export interface TrailPoint {
  at_ms: number;
  azimuth_deg: number;
  activity: number;
}

/** The last places where somebody talked, oldest first. */
export class Trail {
  readonly points: TrailPoint[] = [];

  constructor(readonly length_ms: number) {}

  add(at_ms: number, azimuth_deg: number, activity: number): void {
    if (activity > 0.05) this.points.push({ at_ms, azimuth_deg, activity });
    this.expire(at_ms);
  }

  expire(now_ms: number): void {
    let old = 0;
    while (old < this.points.length && now_ms - this.points[old]!.at_ms > this.length_ms) old++;
    if (old > 0) this.points.splice(0, old);
  }
}

/** How far two directions are apart, 0 … 180. */
export const apart = (a_deg: number, b_deg: number): number =>
  Math.abs(((b_deg - a_deg + 540) % 360) - 180);

/** Moves one angle towards another the short way round; share 0 … 1, result 0 … 360. */
export function turn_towards(from_deg: number, to_deg: number, share: number): number {
  const way = ((to_deg - from_deg + 540) % 360) - 180;
  return (from_deg + way * share + 360) % 360;
}
