// SPDX-License-Identifier: Apache-2.0
import { effect, signal } from '@preact/signals';
import { lazy, Suspense } from './parts/lazy';
import { announcement } from './model/announce';
import { connect, disconnect, linked } from './model/phone';
import { check_session, session } from './model/session';
import { Dashboard } from './pages/dashboard';
import { LoginPage } from './pages/login';
import { LinkBanner } from './parts/link_banner';
import { TopBar } from './parts/top_bar';
import { text } from './text';

export type Page = 'room' | 'settings';

const page_of_hash = (): Page => (location.hash === '#/settings' ? 'settings' : 'room');

export const page = signal<Page>(page_of_hash());

window.addEventListener('hashchange', () => {
  page.value = page_of_hash();
  window.scrollTo(0, 0);
});

effect(() => {
  if (session.value.kind === 'signed_in') connect();
  else disconnect();
});

void check_session();

const SettingsPage = lazy(() => import('./pages/settings').then((m) => m.SettingsPage));

export function App() {
  const state = session.value;
  return (
    <>
      {state.kind === 'signed_out' && <LoginPage ended={state.ended} />}
      {state.kind === 'signed_in' && (
        <>
          <a class="skip button" href="#content" onClick={skip}>
            {text.skip_to_content}
          </a>
          <TopBar page={page.value} />
          <LinkBanner />
          <main id="content" tabIndex={-1} class={linked.value ? '' : 'stale'}>
            {page.value === 'room' ? (
              <Dashboard must_change_password={state.session.must_change_password} />
            ) : (
              <Suspense of={SettingsPage} />
            )}
          </main>
        </>
      )}
      <div class="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
    </>
  );
}

/** The address after # names the page, so the jump to the content must not change it. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}
