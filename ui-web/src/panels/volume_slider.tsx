// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from 'preact/hooks';
import { number } from '../lib/format';
import { as_catalogue_error, linked, rpc, volume_db } from '../model/phone';
import type { CatalogueError } from '../model/tree';
import { SpeakerIcon } from '../parts/icons';
import { text } from '../text';

const kMinDb = -40;
const kMaxDb = 12;
/** While a finger drags, one command in this time is enough for the ear. */
const kEveryMs = 80;
/** The phone's own value is shown again this long after the last move. */
const kSettleMs = 600;

export function VolumeSlider({ on_problem }: { on_problem(problem: CatalogueError): void }) {
  const from_phone = volume_db.value;
  const [dragged, set_dragged] = useState<number | undefined>();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const wanted = useRef<number | undefined>(undefined);
  const settle = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      clearTimeout(settle.current);
    },
    [],
  );

  function send(): void {
    timer.current = undefined;
    if (wanted.current === undefined) return;
    const db = wanted.current;
    wanted.current = undefined;
    rpc('audio.set_volume', { db }).catch((error: unknown) =>
      on_problem(as_catalogue_error(error, text.call.volume_failed)),
    );
    timer.current = setTimeout(send, kEveryMs);
  }

  function move(db: number): void {
    set_dragged(db);
    wanted.current = db;
    if (timer.current === undefined) send();
    clearTimeout(settle.current);
    settle.current = setTimeout(() => set_dragged(undefined), kSettleMs);
  }

  if (from_phone === undefined && dragged === undefined) return null;
  const db = dragged ?? from_phone ?? 0;
  const spoken = text.call.volume_value(number(db));
  return (
    <div class="volume">
      <SpeakerIcon />
      <input
        type="range"
        min={kMinDb}
        max={kMaxDb}
        step={1}
        value={db}
        disabled={!linked.value}
        aria-label={text.call.volume}
        aria-valuetext={spoken}
        onInput={(event) => move(Number(event.currentTarget.value))}
      />
      <output class="numeric">{spoken}</output>
    </div>
  );
}
