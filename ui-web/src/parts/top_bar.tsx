// SPDX-License-Identifier: Apache-2.0
import type { Page } from '../app';
import { number } from '../lib/format';
import { device, link, round_trip_ms } from '../model/phone';
import { log_out } from '../model/session';
import { text } from '../text';
import { Mark, RoomIcon, SettingsIcon, SignOutIcon } from './icons';

export function TopBar({ page }: { page: Page }) {
  const current = (which: Page) => (page === which ? ('page' as const) : undefined);
  return (
    <header class="topbar">
      <div class="brand">
        <Mark />
        <span class="name">{text.product}</span>
        <DeviceName />
      </div>
      <LinkState />
      <nav aria-label={text.nav.label}>
        <a href="#/" aria-current={current('room')}>
          <RoomIcon /> <span>{text.nav.room}</span>
        </a>
        <a href="#/settings" aria-current={current('settings')}>
          <SettingsIcon /> <span>{text.nav.settings}</span>
        </a>
      </nav>
      <button
        type="button"
        class="button plain"
        aria-label={text.nav.sign_out}
        onClick={() => void log_out()}
      >
        <SignOutIcon size={18} />
        <span class="optional">{text.nav.sign_out}</span>
      </button>
    </header>
  );
}

function DeviceName() {
  const name = device.value?.name;
  return name ? <span class="where optional">{name}</span> : null;
}

function LinkState() {
  const open = link.value.kind === 'open';
  const ms = round_trip_ms.value;
  return (
    <span
      class="link-state optional"
      title={ms === undefined ? undefined : text.link.round_trip(number(ms, 1))}
    >
      <span class={`dot ${open ? 'good' : 'bad'}`} />
      {open ? text.link.connected : text.link.connecting}
    </span>
  );
}
