// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../model/announce';
import { link, retry_now } from '../model/phone';
import { text } from '../text';
import { WarningIcon } from './icons';

/** Says that what is on the page is old, and when the next attempt starts. */
export function LinkBanner() {
  const state = link.value;
  const was_lost = useRef(false);
  const [now, set_now] = useState(Date.now());

  useEffect(() => {
    if (state.kind === 'open' && was_lost.current) announce(text.link.back);
    if (state.kind === 'lost') was_lost.current = true;
    if (state.kind === 'open') was_lost.current = false;
    if (state.kind !== 'lost') return;
    set_now(Date.now());
    const timer = setInterval(() => set_now(Date.now()), 500);
    return () => clearInterval(timer);
  }, [state]);

  // A first connection that takes a moment is no news.
  if (state.kind === 'open' || (state.kind === 'connecting' && !was_lost.current)) return null;
  const seconds =
    state.kind === 'lost' ? Math.max(0, Math.ceil((state.retry_at - now) / 1000)) : undefined;
  return (
    <div class="banner">
      <WarningIcon />
      <span role="alert">
        <strong>{text.link.lost}</strong> {text.link.stale}
      </span>
      <span class="soft numeric">
        {seconds === undefined ? text.link.connecting : text.link.retry_in(seconds)}
      </span>
      <button type="button" class="button plain" onClick={retry_now} disabled={seconds === undefined}>
        {text.link.retry_now}
      </button>
    </div>
  );
}
