// SPDX-License-Identifier: Apache-2.0

/** Levels of one channel in dBFS, -327.68 … 0. */
export interface Level {
  rms_db: number;
  peak_db: number;
}

/** What the phone sends twenty times a second beside the state tree. */
export interface MeterFrame {
  near_active: boolean;
  far_active: boolean;
  muted: boolean;
  call_active: boolean;
  /** Counts up by one for each frame; a gap means that frames were dropped for a slow client. */
  seq: number;
  mics: Level[];
  speaker: Level;
  sent: Level;
  /** Echo reduction from the raw microphone to what is sent, dB. */
  erle_db: number;
  /** Echo that is left in what is sent, dBFS. */
  residual_db: number;
  /** Degrees seen from above, 0 at the x axis, counter-clockwise, 0 … 360. */
  azimuth_deg: number;
  elevation_deg: number;
  /** How sure the phone is that somebody talks there, 0 … 1. */
  activity: number;
  cpu_us: number;
  /** Clipped samples of all microphones so far, modulo 65536. */
  clips: number;
}

const kType = 1;
const kVersion = 1;
const kHeadBytes = 8;
const kBytesPerMic = 4;
const kTailBytes = 22;

export const meter_frame_bytes = (mics: number): number =>
  kHeadBytes + mics * kBytesPerMic + kTailBytes;

/**
 * Reads one binary frame; undefined when it is not a meter frame this app understands. A longer
 * frame is read as far as it is known, so that a newer phone may add fields at the end.
 */
export function decode_meter_frame(buffer: ArrayBuffer): MeterFrame | undefined {
  if (buffer.byteLength < kHeadBytes) return undefined;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== kType || view.getUint8(1) !== kVersion) return undefined;
  const mics = view.getUint8(2);
  if (buffer.byteLength < meter_frame_bytes(mics)) return undefined;

  const flags = view.getUint8(3);
  let at = kHeadBytes;
  const i16 = () => {
    const value = view.getInt16(at, true);
    at += 2;
    return value;
  };
  const u16 = () => {
    const value = view.getUint16(at, true);
    at += 2;
    return value;
  };
  const level = (): Level => ({ rms_db: i16() / 100, peak_db: i16() / 100 });

  return {
    near_active: (flags & 1) !== 0,
    far_active: (flags & 2) !== 0,
    muted: (flags & 4) !== 0,
    call_active: (flags & 8) !== 0,
    seq: view.getUint32(4, true),
    mics: Array.from({ length: mics }, level),
    speaker: level(),
    sent: level(),
    erle_db: i16() / 100,
    residual_db: i16() / 100,
    azimuth_deg: u16() / 10,
    elevation_deg: i16() / 10,
    activity: u16() / 1000,
    cpu_us: u16(),
    clips: u16(),
  };
}
