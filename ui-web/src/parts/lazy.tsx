// SPDX-License-Identifier: Apache-2.0
import { signal, type Signal } from '@preact/signals';
import type { FunctionComponent } from 'preact';
import { useEffect } from 'preact/hooks';
import { text } from '../text';
import { Notice } from './notice';

type Loaded = FunctionComponent | 'loading' | 'failed';

export interface Lazy {
  state: Signal<Loaded>;
  load(): void;
}

/** A part of the app that is fetched when it is first shown. */
export function lazy(fetch_it: () => Promise<FunctionComponent>): Lazy {
  const state = signal<Loaded>('loading');
  let started = false;
  return {
    state,
    load() {
      if (started) return;
      started = true;
      fetch_it().then(
        (component) => {
          state.value = () => component({});
        },
        () => {
          started = false;
          state.value = 'failed';
        },
      );
    },
  };
}

export function Suspense({ of }: { of: Lazy }) {
  useEffect(() => of.load(), [of]);
  const Part = of.state.value;
  if (Part === 'loading') return <div class="empty" aria-busy="true" />;
  if (Part === 'failed') return <Notice title={text.login.unreachable} />;
  return <Part />;
}
