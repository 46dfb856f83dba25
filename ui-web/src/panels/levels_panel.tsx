// SPDX-License-Identifier: Apache-2.0
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Ballistics, kFloorDb, share_of_bar } from '../lib/ballistics';
import { number } from '../lib/format';
import { meter_count, on_meters } from '../model/meters';
import { mics, muted } from '../model/phone';
import { Card } from '../parts/card';
import { text } from '../text';
import type { Level, MeterFrame } from '../protocol/meter_frame';

/** Below any microphone's own noise: digital silence, or nearly. */
const kSilenceDb = -100;
/** Digits that change more often than this cannot be read. */
const kNumberEveryMs = 200;
/** Assistive technology is told more seldom still. */
const kSpokenEveryMs = 1000;

const kMarks = ['−60', '−40', '−20', '0'];

export function LevelsPanel() {
  const known = mics.value ?? {};
  const total = Math.max(meter_count.value, Object.keys(known).length);
  const rows = Array.from({ length: total }, (_, index) => {
    const satellite = known[index]?.kind === 'satellite';
    return { index, satellite, label: known[index]?.label };
  });
  const ring = rows.filter((row) => !row.satellite);
  const satellites = rows.filter((row) => row.satellite);
  return (
    <Card
      heading={text.levels.heading}
      span={5}
      aside={muted.value && <span class="chip bad">{text.levels.muted}</span>}
    >
      {total === 0 ? (
        <p class="empty">{text.levels.waiting}</p>
      ) : (
        <div class="levels">
          <h3>{text.levels.ring}</h3>
          {ring.map((row, i) => (
            <Meter
              key={row.index}
              name={row.label ?? text.levels.mic(i + 1)}
              pick={(frame) => frame.mics[row.index]}
            />
          ))}
          {satellites.length > 0 && <h3>{text.levels.satellites}</h3>}
          {satellites.map((row, i) => (
            <Meter
              key={row.index}
              name={row.label ?? text.levels.satellite(i + 1)}
              pick={(frame) => frame.mics[row.index]}
            />
          ))}
          <h3>{text.levels.outputs}</h3>
          <Meter name={text.levels.speaker} pick={(frame) => frame.speaker} />
          <Meter name={text.levels.sent} pick={(frame) => frame.sent} />
          <div class="scale numeric" aria-hidden="true">
            <span />
            <span class="marks">
              {kMarks.map((mark) => (
                <span key={mark}>{mark}</span>
              ))}
            </span>
            <span class="unit">{text.levels.unit}</span>
            <span />
          </div>
        </div>
      )}
    </Card>
  );
}

interface MeterProps {
  name: string;
  pick(frame: MeterFrame): Level | undefined;
}

/** One row; drawn by hand at 20 Hz, so that the component tree rests. */
function Meter({ name, pick }: MeterProps) {
  const row = useRef<HTMLDivElement>(null);
  const bar = useRef<HTMLSpanElement>(null);
  const peak = useRef<HTMLSpanElement>(null);
  const value = useRef<HTMLSpanElement>(null);
  const clip = useRef<HTMLSpanElement>(null);
  const chosen = useRef(pick);
  chosen.current = pick;

  useLayoutEffect(() => {
    const motion = new Ballistics();
    let number_at = 0;
    let spoken_at = 0;
    return on_meters((frame, now) => {
      const level = chosen.current(frame);
      if (!level) return;
      motion.update(level.rms_db, level.peak_db, now);
      const lit = share_of_bar(motion.bar_db);
      bar.current!.style.clipPath = `inset(0 ${((1 - lit) * 100).toFixed(2)}% 0 0)`;
      peak.current!.style.transform = `translateX(${(share_of_bar(motion.peak_db) * 100).toFixed(2)}%)`;
      clip.current!.classList.toggle('on', motion.clipped);
      if (now - number_at >= kNumberEveryMs) {
        number_at = now;
        value.current!.textContent =
          level.rms_db <= kSilenceDb ? text.levels.floor : number(level.rms_db, 1);
      }
      if (now - spoken_at >= kSpokenEveryMs) {
        spoken_at = now;
        const bounded = Math.max(kFloorDb, Math.min(0, Math.round(level.rms_db)));
        row.current!.setAttribute('aria-valuenow', String(bounded));
        row.current!.setAttribute(
          'aria-valuetext',
          `${number(level.rms_db)} ${text.levels.unit}${motion.clipped ? `, ${text.levels.clipped}` : ''}`,
        );
      }
    });
  }, []);

  return (
    <div
      class="meter"
      ref={row}
      role="meter"
      aria-label={text.levels.meter(name)}
      aria-valuemin={kFloorDb}
      aria-valuemax={0}
      aria-valuenow={kFloorDb}
    >
      <span class="name" title={name}>
        {name}
      </span>
      <span class="track">
        <span class="bar" ref={bar} />
        <span class="peak" ref={peak} />
      </span>
      <span class="value numeric" ref={value}>
        {text.unknown}
      </span>
      <span class="clip" ref={clip} title={text.levels.clip_hint} aria-hidden="true">
        {text.levels.clip}
      </span>
    </div>
  );
}
