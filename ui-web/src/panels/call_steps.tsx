// SPDX-License-Identifier: Apache-2.0
import { useRef } from 'preact/hooks';
import { call, call_state } from '../model/phone';
import { DoneIcon, WarningIcon } from '../parts/icons';
import { text } from '../text';

const kSteps = ['service_login', 'joining', 'connecting', 'active'];

/** Where the call stands between the service's door and the first word heard. */
export function CallSteps() {
  const state = call_state.value;
  const reached = useRef(0);
  const index = kSteps.indexOf(state);
  // After a failure the state no longer says how far the call came.
  if (index >= 0) reached.current = index;
  const failed = state === 'failed';
  const detail = call.value?.step;

  const mark = (step: number) => {
    if (step < reached.current) return 'done';
    if (step > reached.current) return 'open';
    return failed ? 'failed' : 'now';
  };
  const spoken = {
    done: text.call.step_done,
    open: text.call.step_open,
    failed: text.call.step_failed,
    now: text.call.step_now,
  };

  return (
    <ol class="steps" aria-label={text.call.steps_label}>
      {kSteps.map((name, step) => {
        const kind = mark(step);
        return (
          <li key={name} class={kind} aria-current={kind === 'now' ? 'step' : undefined}>
            {kind === 'done' && <DoneIcon size={16} />}
            {kind === 'failed' && <WarningIcon size={16} />}
            {kind === 'now' && <span class="spinner" />}
            <span>
              {text.call.steps[name]}
              {kind === 'now' && detail && detail !== name ? ` – ${detail}` : ''}
            </span>
            <span class="visually-hidden">({spoken[kind]})</span>
          </li>
        );
      })}
    </ol>
  );
}
