// SPDX-License-Identifier: Apache-2.0
import { useLayoutEffect, useRef } from 'preact/hooks';
import { share_of_bar } from '../lib/ballistics';
import { degrees, number } from '../lib/format';
import { apart, Trail, turn_towards } from '../lib/trail';
import { on_meters } from '../model/meters';
import { mics } from '../model/phone';
import type { Mic } from '../model/tree';
import { fit_canvas, palette } from '../parts/canvas';
import { Card } from '../parts/card';
import type { MeterFrame } from '../protocol/meter_frame';
import { text } from '../text';
import { draw_talker_plot } from './talker_plot';

const kTrailMs = 4000;
const kWordsEveryMs = 250;
const kActive = 0.3;
/** Nobody walks further than this between two frames. */
const kSamePersonDeg = 25;

export function TalkerPanel() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const headline = useRef<HTMLElement>(null);
  const height = useRef<HTMLElement>(null);
  const certainty = useRef<HTMLElement>(null);

  useLayoutEffect(() => {
    const trail = new Trail(kTrailMs);
    let shown_deg = 0;
    let shown_activity = 0;
    let words_at = 0;

    const say = (frame: MeterFrame) => {
      const talking = frame.activity >= kActive;
      headline.current!.textContent = talking ? degrees(frame.azimuth_deg) : text.unknown;
      height.current!.textContent = talking
        ? `${number(frame.elevation_deg)}${text.unit.deg}`
        : text.unknown;
      certainty.current!.textContent = `${number(frame.activity * 100)} ${text.unit.percent}`;
      canvas.current!.setAttribute('aria-label', text.talker.plot(words(frame)));
    };

    return on_meters((frame, now) => {
      // A new talker appears where he is; the same one glides.
      const appears =
        shown_activity < 0.05 || apart(shown_deg, frame.azimuth_deg) > kSamePersonDeg;
      shown_deg = appears ? frame.azimuth_deg : turn_towards(shown_deg, frame.azimuth_deg, 0.5);
      shown_activity += (frame.activity - shown_activity) * 0.4;
      if (shown_activity < 0.02) shown_activity = 0;
      trail.add(now, frame.azimuth_deg, frame.activity);

      const fitted = canvas.current && fit_canvas(canvas.current);
      if (fitted) {
        draw_talker_plot(
          fitted.context,
          Math.min(fitted.width, fitted.height),
          {
            mics: in_order(mics.peek(), frame.mics.length),
            levels: frame.mics.map((mic) => share_of_bar(mic.rms_db)),
            azimuth_deg: shown_deg,
            activity: shown_activity,
            trail,
            now_ms: now,
          },
          palette.peek(),
        );
      }
      if (now - words_at >= kWordsEveryMs) {
        words_at = now;
        say(frame);
      }
    });
  }, []);

  return (
    <Card heading={text.talker.heading} span={4} name="talker">
      <dl class="headline">
        <div>
          <dt>{text.talker.direction}</dt>
          <dd ref={headline}>{text.unknown}</dd>
        </div>
        <div>
          <dt>{text.talker.height}</dt>
          <dd ref={height}>{text.unknown}</dd>
        </div>
        <div>
          <dt>{text.talker.certainty}</dt>
          <dd ref={certainty}>{text.unknown}</dd>
        </div>
      </dl>
      <div class="plot">
        <canvas ref={canvas} role="img" aria-label={text.talker.plot(text.talker.nobody)} />
      </div>
      <p class="legend" aria-hidden="true">
        <span>
          <i /> {text.talker.legend_ring}
        </span>
        <span>
          <i class="square" /> {text.talker.legend_satellite}
        </span>
        <span>
          <i class="talker-dot" /> {text.talker.legend_talker}
        </span>
      </p>
    </Card>
  );
}

function words(frame: MeterFrame): string {
  const near = frame.activity >= kActive;
  if (near && frame.far_active) return text.talker.both;
  if (near) return text.talker.at(degrees(frame.azimuth_deg));
  return frame.far_active ? text.talker.far : text.talker.nobody;
}

/** In the order of the meter frame; without a geometry the ring is drawn evenly. */
function in_order(known: Record<string, Mic> | undefined, total: number): Mic[] {
  return Array.from({ length: total }, (_, i) => {
    const mic = known?.[i];
    if (mic?.x !== undefined) return mic;
    const angle = (2 * Math.PI * i) / Math.max(1, total);
    return { ...mic, x: 0.1 * Math.cos(angle), y: 0.1 * Math.sin(angle) };
  });
}
