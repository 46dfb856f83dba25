// SPDX-License-Identifier: Apache-2.0
import { signal } from '@preact/signals';
import { decode_meter_frame, type MeterFrame } from '../protocol/meter_frame';

/**
 * Twenty frames a second go past the component tree: panels subscribe, and draw into their own
 * canvas or style once for each picture of the screen. Only the number of microphones, which says
 * how many rows there are, is a signal.
 */
export const meter_count = signal(0);

type Listener = (frame: MeterFrame, now_ms: number) => void;

const listeners = new Set<Listener>();
let newest: MeterFrame | undefined;
let scheduled = false;

export function take_meter_frame(buffer: ArrayBuffer): void {
  const frame = decode_meter_frame(buffer);
  if (!frame) return;
  newest = frame;
  if (meter_count.peek() !== frame.mics.length) meter_count.value = frame.mics.length;
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(deliver);
}

function deliver(now_ms: number): void {
  scheduled = false;
  if (newest) for (const listener of listeners) listener(newest, now_ms);
}

/** Called for each new frame, at most once a picture; the answer ends the subscription. */
export function on_meters(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
