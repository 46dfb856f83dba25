// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode_meter_frame, meter_frame_bytes } from '../src/protocol/meter_frame';

function frame(mics: number): DataView {
  const view = new DataView(new ArrayBuffer(meter_frame_bytes(mics)));
  view.setUint8(0, 1);
  view.setUint8(1, 1);
  view.setUint8(2, mics);
  return view;
}

test('ten microphones make 70 bytes', () => assert.equal(meter_frame_bytes(10), 70));

test('every field is read from its place', () => {
  const view = frame(2);
  view.setUint8(3, 1 | 4);
  view.setUint32(4, 4_000_000_000, true);
  const words = [-2512, -1203, -9000, -8000, -3100, -2000, -2800, -1500, 3456, -7012];
  words.forEach((word, i) => view.setInt16(8 + 2 * i, word, true));
  view.setUint16(28, 3599, true);
  view.setInt16(30, -125, true);
  view.setUint16(32, 750, true);
  view.setUint16(34, 1234, true);
  view.setUint16(36, 65535, true);
  assert.deepEqual(decode_meter_frame(view.buffer as ArrayBuffer), {
    near_active: true,
    far_active: false,
    muted: true,
    call_active: false,
    seq: 4_000_000_000,
    mics: [
      { rms_db: -25.12, peak_db: -12.03 },
      { rms_db: -90, peak_db: -80 },
    ],
    speaker: { rms_db: -31, peak_db: -20 },
    sent: { rms_db: -28, peak_db: -15 },
    erle_db: 34.56,
    residual_db: -70.12,
    azimuth_deg: 359.9,
    elevation_deg: -12.5,
    activity: 0.75,
    cpu_us: 1234,
    clips: 65535,
  });
});

test('a longer frame of a newer phone is read as far as it is known', () => {
  const longer = new Uint8Array(meter_frame_bytes(1) + 12);
  longer.set(new Uint8Array(frame(1).buffer));
  assert.equal(decode_meter_frame(longer.buffer)?.mics.length, 1);
});

test('bad frames are refused', () => {
  assert.equal(decode_meter_frame(new ArrayBuffer(0)), undefined);
  assert.equal(decode_meter_frame(new ArrayBuffer(7)), undefined);
  const other_type = frame(1);
  other_type.setUint8(0, 2);
  assert.equal(decode_meter_frame(other_type.buffer as ArrayBuffer), undefined);
  const other_version = frame(1);
  other_version.setUint8(1, 9);
  assert.equal(decode_meter_frame(other_version.buffer as ArrayBuffer), undefined);
  const says_more_than_it_holds = frame(1);
  says_more_than_it_holds.setUint8(2, 200);
  assert.equal(decode_meter_frame(says_more_than_it_holds.buffer as ArrayBuffer), undefined);
});
