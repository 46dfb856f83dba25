// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from 'preact/hooks';
import { log_in, type LoginResult } from '../model/session';
import { Mark } from '../parts/icons';
import { Notice } from '../parts/notice';
import { text } from '../text';

export function LoginPage({ ended }: { ended: boolean }) {
  const [user, set_user] = useState('admin');
  const [password, set_password] = useState('');
  const [visible, set_visible] = useState(false);
  const [busy, set_busy] = useState(false);
  const [result, set_result] = useState<LoginResult | undefined>();
  const password_field = useRef<HTMLInputElement>(null);
  const locked_for = useCountdown(result?.kind === 'locked' ? result : undefined);

  useEffect(() => password_field.current?.focus(), []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (busy || locked_for > 0) return;
    if (password === '') {
      password_field.current?.focus();
      return;
    }
    set_busy(true);
    const answer = await log_in(user.trim(), password);
    set_busy(false);
    if (answer.kind === 'ok') return;
    set_result(answer);
    if (answer.kind === 'wrong') {
      set_password('');
      password_field.current?.focus();
    }
  }

  return (
    <main class="login">
      <div class="sheet">
        <div class="mark">
          <Mark size={32} /> {text.product}
        </div>
        <div>
          <h1>{text.login.title}</h1>
          <p class="soft">{text.login.lead}</p>
        </div>
        {ended && !result && <Notice kind="fair" title={text.login.ended} />}
        {result && <Problem result={result} locked_for={locked_for} />}
        <form onSubmit={(event) => void submit(event)} noValidate>
          <div class="field">
            <label for="user">{text.login.user}</label>
            <input
              id="user"
              class="input"
              name="username"
              autocomplete="username"
              autocapitalize="none"
              spellcheck={false}
              value={user}
              onInput={(event) => set_user(event.currentTarget.value)}
            />
          </div>
          <div class="field">
            <label for="password">{text.login.password}</label>
            <div class="with-button">
              <input
                id="password"
                ref={password_field}
                class="input"
                name="password"
                // The typings know no field that changes between the two.
                type={(visible ? 'text' : 'password') as 'password'}
                autocomplete="current-password"
                value={password}
                aria-invalid={result?.kind === 'wrong'}
                onInput={(event) => set_password(event.currentTarget.value)}
              />
              <button
                type="button"
                aria-label={visible ? text.login.hide_password : text.login.show_password}
                onClick={() => set_visible(!visible)}
              >
                {visible ? text.login.hide : text.login.show}
              </button>
            </div>
          </div>
          <button
            type="submit"
            class="button primary"
            disabled={busy || locked_for > 0}
          >
            {busy ? text.login.busy : text.login.submit}
          </button>
        </form>
      </div>
    </main>
  );
}

function Problem({ result, locked_for }: { result: LoginResult; locked_for: number }) {
  switch (result.kind) {
    case 'ok':
      return null;
    case 'wrong':
      return <Notice title={text.login.wrong}>{text.login.wrong_hint}</Notice>;
    case 'locked':
      if (locked_for <= 0) return null;
      return (
        <Notice kind="fair" title={text.login.locked}>
          <span class="numeric" aria-live="off">
            {text.login.locked_hint(locked_for)}
          </span>
        </Notice>
      );
    case 'unreachable':
      return <Notice title={text.login.unreachable}>{text.login.unreachable_hint}</Notice>;
    case 'failed':
      return <Notice title={text.login.failed}>{text.login.failed_hint(result.status)}</Notice>;
  }
}

/** Seconds that are left of a lock-out; counts down from the moment a new one is handed in. */
function useCountdown(lock: { seconds: number } | undefined): number {
  const [left, set_left] = useState(0);
  useEffect(() => {
    if (!lock) {
      set_left(0);
      return;
    }
    const end = Date.now() + lock.seconds * 1000;
    const tick = () => set_left(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [lock]);
  return left;
}
