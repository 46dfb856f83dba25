// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from 'preact/hooks';
import '../styles/player.css';
import type { AbPlayer, Side } from '../lib/ab_player';
import { duration, number } from '../lib/format';
import { draw_spectrogram } from '../lib/spectrogram';
import { PauseIcon, PlayIcon } from '../parts/icons';
import { text } from '../text';

const kNames: [string, string] = [text.player.a, text.player.b];

export function PlayerControls({ player }: { player: AbPlayer }) {
  const [playing, set_playing] = useState(false);
  const [heard, set_heard] = useState<Side>(1);
  const [matched, set_matched] = useState(true);
  const needle = useRef<HTMLDivElement>(null);
  const slider = useRef<HTMLInputElement>(null);
  const clock = useRef<HTMLSpanElement>(null);

  function show_position(): void {
    const now = player.position;
    needle.current!.style.transform = `translateX(${(100 * now) / player.seconds}%)`;
    slider.current!.value = String(now);
    slider.current!.setAttribute('aria-valuetext', spoken(now, player.seconds));
    clock.current!.textContent = `${duration(now * 1000)} / ${whole_length(player.seconds)}`;
  }

  useEffect(() => {
    set_playing(false);
    player.hear(heard);
    player.match(matched);
    player.on_end = () => {
      set_playing(false);
      show_position();
    };
    show_position();
  }, [player]);

  useEffect(() => {
    if (!playing) return;
    let request = requestAnimationFrame(function step() {
      show_position();
      request = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(request);
  }, [playing, player]);

  function toggle(): void {
    if (player.playing) player.pause();
    else player.play();
    set_playing(player.playing);
  }

  function choose(side: Side): void {
    player.hear(side);
    set_heard(side);
  }

  function on_key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.toLowerCase();
    if (key === 'a') choose(0);
    else if (key === 'b') choose(1);
  }

  const words = text.player;
  return (
    <div class="player" onKeyDown={on_key}>
      <div class="controls">
        <button type="button" class="button primary play" onClick={toggle}>
          {playing ? <PauseIcon /> : <PlayIcon />}
          {playing ? words.pause : words.play}
        </button>
        <div class="switch" role="group" aria-label={words.choose}>
          {kNames.map((name, side) => (
            <button
              key={name}
              type="button"
              aria-pressed={heard === side}
              onClick={() => choose(side as Side)}
            >
              <kbd aria-hidden="true">{side === 0 ? 'A' : 'B'}</kbd> {name}
            </button>
          ))}
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={matched}
            onChange={(event) => {
              player.match(event.currentTarget.checked);
              set_matched(event.currentTarget.checked);
            }}
          />
          <span>
            {words.match}
            {matched && player.matched_db >= 0.5 && (
              <small class="soft"> ({words.match_hint(number(player.matched_db, 1))})</small>
            )}
          </span>
        </label>
        <small class="soft">{words.key}</small>
      </div>
      <div class="pictures">
        {kNames.map((name, side) => (
          <Picture key={name} player={player} side={side as Side} heard={heard === side} />
        ))}
        <div class="clip-box">
          <div class="needle" ref={needle} />
        </div>
      </div>
      <div class="seek">
        <input
          ref={slider}
          type="range"
          min={0}
          max={player.seconds}
          step={0.1}
          defaultValue="0"
          aria-label={words.position}
          onInput={(event) => {
            player.seek(Number(event.currentTarget.value));
            show_position();
          }}
        />
        <span class="numeric" ref={clock} />
      </div>
    </div>
  );
}

function Picture({ player, side, heard }: { player: AbPlayer; side: Side; heard: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const draw = () => {
      const buffer = player.buffers[side];
      const samples = buffer.getChannelData(0);
      draw_spectrogram(canvas.current!, samples, buffer.sampleRate, player.levels_db[side]);
    };
    // After the first picture of the screen, so that the controls are there at once.
    const timer = setTimeout(draw, 30);
    return () => clearTimeout(timer);
  }, [player]);
  return (
    <figure class={heard ? 'heard' : ''}>
      <canvas ref={canvas} role="img" aria-label={text.player.spectrogram(kNames[side])} />
      <figcaption>{kNames[side]}</figcaption>
    </figure>
  );
}

const spoken = (now: number, all: number): string =>
  text.player.position_text(duration(now * 1000), whole_length(all));

/** To the nearest second: the last block of a recording may be a moment short. */
const whole_length = (seconds: number): string => duration(Math.round(seconds) * 1000);
