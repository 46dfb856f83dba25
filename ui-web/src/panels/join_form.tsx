// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';
import { as_catalogue_error, linked, rpc } from '../model/phone';
import type { CatalogueError } from '../model/tree';
import { text } from '../text';

interface Props {
  on_problem(problem: CatalogueError | undefined): void;
}

export function JoinForm({ on_problem }: Props) {
  const [passcode, set_passcode] = useState('');
  const [email, set_email] = useState('');
  const [tried, set_tried] = useState(false);
  const [busy, set_busy] = useState(false);

  const passcode_missing = passcode.trim() === '';
  // A first look only, for the slip of a finger; the phone and the service check the rest.
  const email_wrong = email.trim() !== '' && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email.trim());

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    set_tried(true);
    if (busy || passcode_missing || email_wrong) return;
    set_busy(true);
    on_problem(undefined);
    const params: Record<string, string> = { passcode: passcode.replace(/\s/g, '') };
    if (email.trim() !== '') params.email = email.trim();
    try {
      await rpc('call.join', params);
      set_passcode('');
    } catch (error) {
      on_problem(as_catalogue_error(error, text.call.join_failed));
    } finally {
      set_busy(false);
    }
  }

  const show_passcode = tried && passcode_missing;
  const show_email = tried && email_wrong;
  return (
    <form class="join" onSubmit={(event) => void submit(event)} noValidate>
      <div class="field">
        <label for="passcode">{text.call.passcode}</label>
        <input
          id="passcode"
          class="input numeric"
          inputMode="numeric"
          autocomplete="off"
          value={passcode}
          aria-invalid={show_passcode}
          aria-describedby="passcode-hint"
          onInput={(event) => set_passcode(event.currentTarget.value)}
        />
        <Hint
          id="passcode-hint"
          hint={text.call.passcode_hint}
          problem={show_passcode ? text.call.passcode_missing : undefined}
        />
      </div>
      <div class="field">
        <label for="email">
          {text.call.email} <span class="soft">({text.call.optional})</span>
        </label>
        <input
          id="email"
          class="input"
          type="email"
          autocomplete="email"
          value={email}
          aria-invalid={show_email}
          aria-describedby="email-hint"
          onInput={(event) => set_email(event.currentTarget.value)}
        />
        <Hint
          id="email-hint"
          hint={text.call.email_hint}
          problem={show_email ? text.call.email_wrong : undefined}
        />
      </div>
      <button type="submit" class="button primary" disabled={busy || !linked.value}>
        {text.call.join}
      </button>
    </form>
  );
}

function Hint({ id, hint, problem }: { id: string; hint: string; problem: string | undefined }) {
  return (
    <p id={id} class={problem ? 'problem' : 'hint'}>
      {problem ?? hint}
    </p>
  );
}
