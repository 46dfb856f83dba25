// SPDX-License-Identifier: Apache-2.0
// The shape of the phone's state tree. The tree holds no nulls: what is not known is absent, so
// every field is optional and every panel must do without it.

export interface Device {
  name?: string;
  model?: string;
  version?: string;
  serial?: string;
  started_ms?: number;
}

export interface Mic {
  label?: string;
  kind?: 'ring' | 'satellite';
  /** Metres from the middle of the ring. */
  x?: number;
  y?: number;
  z?: number;
}

export interface SoundDevice {
  name?: string;
  state?: string;
  xruns?: number;
  ppm?: number;
  latency_ms?: number;
  synced?: boolean;
}

export interface EngineState {
  blocks?: number;
  late?: number;
  xruns?: number;
  violations?: number;
  core_percent?: number;
  cpu_us?: { p50?: number; p99?: number; p9999?: number; max?: number; last?: number };
}

export interface Audio {
  mics?: Record<string, Mic>;
  devices?: Record<string, SoundDevice>;
  engine?: EngineState;
  echo?: { erle_db?: number; delay_ms?: number };
  speaker?: { volume_db?: number };
}

export interface CatalogueError {
  id?: string;
  message?: string;
  cause?: string;
  remedy?: string;
}

export interface Quality {
  tx_packets?: number;
  rx_packets?: number;
  lost?: number;
  loss_percent?: number;
  /** What the other end misses of what this phone sends. */
  remote_loss_percent?: number;
  jitter_ms?: number;
  rtt_ms?: number;
  delay_ms?: number;
  buffer_ms?: number;
  concealed_ms?: number;
  mos?: number;
}

export interface Call {
  state?: string;
  step?: string;
  since_ms?: number;
  muted?: boolean;
  conference?: { id?: string; title?: string; role?: string };
  codec?: string;
  security?: string;
  quality?: Quality;
  error?: CatalogueError;
}

export interface Participant {
  name?: string;
  role?: string;
  muted?: boolean;
  talking?: boolean;
  self?: boolean;
}

export interface PhoneTree {
  device?: Device;
  audio?: Audio;
  call?: Call;
  roster?: Record<string, Participant>;
  web?: { sessions?: number };
  service?: { address?: string; reachable?: boolean };
}
