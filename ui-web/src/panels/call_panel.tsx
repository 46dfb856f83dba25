// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from 'preact/hooks';
import { clock_time, duration } from '../lib/format';
import { announce } from '../model/announce';
import {
  as_catalogue_error,
  call,
  call_state,
  clock_offset_ms,
  linked,
  muted,
  rpc,
} from '../model/phone';
import type { CatalogueError } from '../model/tree';
import { HangUpIcon, LockIcon, MicIcon, MicOffIcon } from '../parts/icons';
import { ErrorNotice } from '../parts/notice';
import { text } from '../text';
import { CallSteps } from './call_steps';
import { JoinForm } from './join_form';
import { VolumeSlider } from './volume_slider';

const kGrade: Record<string, string> = { active: 'good', failed: 'bad', retrying: 'fair' };

/** Out of a call, when a passcode can be entered. */
const is_idle = (state: string) => state === 'idle' || state === 'failed';

export function CallPanel() {
  const state = call_state.value;
  const now = call.value;
  const [problem, set_problem] = useState<CatalogueError | undefined>();
  const idle = is_idle(state);
  useStateAnnouncements(state);
  useEffect(() => set_problem(undefined), [state]);

  const error = problem ?? (state === 'active' ? undefined : now?.error);
  const title = now?.conference?.title;
  const in_call = state === 'active' || state === 'leaving';
  return (
    <section class="card call" aria-label={text.call.heading}>
      <div>
        <div class="state">
          <span class={`chip ${kGrade[state] ?? (idle ? '' : 'accent')}`}>
            {text.call.states[state] ?? state}
          </span>
          {in_call && <Since />}
        </div>
        <h1>{idle ? text.call.idle_lead : (title ?? text.call.untitled)}</h1>
        {!idle && <Facts />}
      </div>
      {in_call && <VolumeSlider on_problem={set_problem} />}
      {!idle && <CallButtons on_problem={set_problem} />}
      {!in_call && !(state === 'idle') && (
        <div class="wide">
          <CallSteps />
        </div>
      )}
      {error && (
        <div class="wide">
          <ErrorNotice error={error} {...(problem && { on_dismiss: () => set_problem(undefined) })} />
        </div>
      )}
      {idle && (
        <div class="wide">
          <JoinForm on_problem={set_problem} />
        </div>
      )}
    </section>
  );
}

function Facts() {
  const now = call.value;
  const role = now?.conference?.role;
  return (
    <ul class="facts">
      {role && <li>{text.call.roles[role] ?? role}</li>}
      {now?.security && (
        <li>
          <LockIcon size={16} /> {now.security}
        </li>
      )}
      {now?.codec && <li>{now.codec}</li>}
    </ul>
  );
}

function Since() {
  const since = call.value?.since_ms;
  const [, set_tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => set_tick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  if (since === undefined) return null;
  const phone_now = Date.now() + clock_offset_ms.value;
  return (
    <span class="soft numeric">
      {duration(phone_now - since)} · {text.call.since(clock_time(since - clock_offset_ms.value))}
    </span>
  );
}

function CallButtons({ on_problem }: { on_problem(problem: CatalogueError | undefined): void }) {
  const state = call_state.value;
  const is_muted = muted.value;
  const can_mute = linked.value && state === 'active';
  const busy = useRef(false);

  async function toggle_mute(): Promise<void> {
    if (busy.current) return;
    busy.current = true;
    try {
      await rpc('call.mute', { muted: !muted.peek() });
      on_problem(undefined);
    } catch (error) {
      on_problem(as_catalogue_error(error, text.call.mute_failed));
    } finally {
      busy.current = false;
    }
  }

  async function hang_up(): Promise<void> {
    try {
      await rpc('call.leave');
    } catch (error) {
      on_problem(as_catalogue_error(error, text.call.leave_failed));
    }
  }

  useEffect(() => {
    if (!can_mute) return;
    const on_key = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'm' || event.repeat) return;
      if (event.ctrlKey || event.altKey || event.metaKey || is_typing(event.target)) return;
      event.preventDefault();
      void toggle_mute();
    };
    window.addEventListener('keydown', on_key);
    return () => window.removeEventListener('keydown', on_key);
  }, [can_mute]);

  return (
    <div class="call-buttons">
      <button
        type="button"
        class="big mute"
        aria-pressed={is_muted}
        aria-keyshortcuts="M"
        title={text.call.mute_key}
        disabled={!can_mute}
        onClick={() => void toggle_mute()}
      >
        {is_muted ? <MicOffIcon size={28} /> : <MicIcon size={28} />}
        <span class="words">
          <b>{text.call.mute}</b>
          <small>{mute_words(is_muted, state)}</small>
        </span>
      </button>
      <button
        type="button"
        class="big hang-up"
        disabled={!linked.value || state === 'leaving'}
        onClick={() => void hang_up()}
      >
        <HangUpIcon size={28} />
        <span class="words">
          <b>{state === 'active' ? text.call.hang_up : text.call.cancel}</b>
        </span>
      </button>
    </div>
  );
}

/** Never claims what the page cannot know, or what is not true yet. */
function mute_words(is_muted: boolean, state: string): string {
  if (!linked.value) return text.call.mute_state_unknown;
  if (state !== 'active') return text.call.mute_state_not_yet;
  return is_muted ? text.call.mute_state_on : text.call.mute_state_off;
}

function is_typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return target.type !== 'range' && target.type !== 'checkbox';
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Mute and the call's progress are spoken, whoever caused them: this page, another, the phone. */
function useStateAnnouncements(state: string): void {
  const is_muted = muted.value;
  const before = useRef({ state, is_muted });
  useEffect(() => {
    const old = before.current;
    before.current = { state, is_muted };
    if (old.state !== state) announce(text.call.said_state(text.call.states[state] ?? state));
    else if (old.is_muted !== is_muted) {
      announce(is_muted ? text.call.said_muted : text.call.said_unmuted);
    }
  }, [state, is_muted]);
}
