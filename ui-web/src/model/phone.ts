// SPDX-License-Identifier: Apache-2.0
import { computed, signal } from '@preact/signals';
import { Connection, type LinkState } from '../protocol/connection';
import { RpcError } from '../protocol/json_rpc';
import type { Json } from '../protocol/merge_patch';
import { take_meter_frame } from './meters';
import { session_ended, session_is_alive } from './session';
import type { CatalogueError, PhoneTree } from './tree';

/** What the phone last told about itself. */
const tree = signal<PhoneTree>({});

/** Branches: a component that reads one is drawn again only when that branch changes. */
export const device = computed(() => tree.value.device);
export const mics = computed(() => tree.value.audio?.mics);
export const sound_devices = computed(() => tree.value.audio?.devices);
export const engine = computed(() => tree.value.audio?.engine);
export const echo = computed(() => tree.value.audio?.echo);
export const volume_db = computed(() => tree.value.audio?.speaker?.volume_db);
export const call = computed(() => tree.value.call);
export const quality = computed(() => tree.value.call?.quality);
export const roster = computed(() => tree.value.roster);

export const call_state = computed(() => tree.value.call?.state ?? 'idle');
export const muted = computed(() => tree.value.call?.muted === true);

export const link = signal<LinkState>({ kind: 'connecting' });
export const linked = computed(() => link.value.kind === 'open');
export const round_trip_ms = signal<number | undefined>(undefined);

/** The phone's clock minus the browser's, so that durations are right when the two differ. */
export const clock_offset_ms = signal(0);

const connection = new Connection(
  `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/socket`,
  {
    on_link: (state) => {
      const opened = state.kind === 'open' && link.peek().kind !== 'open';
      link.value = state;
      if (opened) void measure_clock();
    },
    on_tree: (next) => {
      tree.value = next as PhoneTree;
    },
    on_meters: take_meter_frame,
    on_round_trip: (ms) => {
      round_trip_ms.value = ms;
    },
    still_signed_in: async () => {
      const alive = await session_is_alive();
      if (!alive) session_ended();
      return alive;
    },
  },
);

export const connect = () => connection.open();
export const disconnect = () => connection.close();
export const retry_now = () => connection.retry_now();
export const rpc = (method: string, params: Json = {}) => connection.call(method, params);

async function measure_clock(): Promise<void> {
  try {
    const before = Date.now();
    const answer = (await rpc('ping', { t: before })) as { server_time_ms?: number } | null;
    if (typeof answer?.server_time_ms !== 'number') return;
    clock_offset_ms.value = answer.server_time_ms - (before + Date.now()) / 2;
  } catch {
    // Without an answer the browser's clock has to do.
  }
}

/** What can be shown of a failed call: the phone's own words if it sent any. */
export function as_catalogue_error(error: unknown, fallback: string): CatalogueError {
  if (!(error instanceof RpcError)) return { message: fallback };
  const result: CatalogueError = { message: error.message || fallback };
  const data = error.data;
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    if (typeof data.id === 'string') result.id = data.id;
    if (typeof data.message === 'string') result.message = data.message;
    if (typeof data.cause === 'string') result.cause = data.cause;
    if (typeof data.remedy === 'string') result.remedy = data.remedy;
  }
  return result;
}
