// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ballistics, kFloorDb, share_of_bar } from '../src/lib/ballistics';
import { EchoHistory } from '../src/lib/echo_history';
import { count, duration, number } from '../src/lib/format';
import { matching_gains, speech_level_db } from '../src/lib/loudness';
import { Spectrum } from '../src/lib/spectrum';
import { grade_jitter, grade_loss, grade_mos, grade_rtt, worst } from '../src/lib/thresholds';
import { Trail, turn_towards } from '../src/lib/trail';

test('thresholds: loss 1 and 2.5 %, round trip 50 and 150 ms, jitter 30 and 80 ms', () => {
  assert.deepEqual([0.99, 1, 2.5, 2.51].map(grade_loss), ['good', 'fair', 'fair', 'bad']);
  assert.deepEqual([49, 50, 150, 151].map(grade_rtt), ['good', 'fair', 'fair', 'bad']);
  assert.deepEqual([29, 30, 80, 81].map(grade_jitter), ['good', 'fair', 'fair', 'bad']);
  assert.deepEqual([4.4, 3.5, 3.0].map(grade_mos), ['good', 'fair', 'bad']);
  assert.equal(grade_loss(undefined), undefined);
  assert.equal(worst(['good', undefined, 'fair']), 'fair');
  assert.equal(worst([undefined]), undefined);
});

test('numbers have a true minus, no minus zero, and a dash when unknown', () => {
  assert.equal(number(-12.34, 1), '−12.3');
  assert.equal(number(-0.04, 1), '0.0');
  assert.equal(number(undefined), '–');
  assert.equal(number(Number.NaN), '–');
  assert.equal(count(1234567), '1\u202f234\u202f567');
  assert.equal(duration(3_723_000), '1:02:03');
  assert.equal(duration(-5), '0:00');
});

test('a meter rises at once, falls slowly, holds its peak and its clip light', () => {
  const meter = new Ballistics();
  meter.update(-20, -8, 0);
  assert.equal(meter.bar_db, -20);
  meter.update(-60, -50, 100);
  assert.ok(meter.bar_db < -20 && meter.bar_db > -30);
  assert.equal(meter.peak_db, -8);
  meter.update(-60, 0, 200);
  meter.update(-60, -50, 3100);
  assert.ok(meter.clipped);
  meter.update(-60, -50, 3300);
  assert.ok(!meter.clipped);
  meter.update(-60, -50, 9000);
  assert.equal(meter.peak_db, -50);
  assert.equal(share_of_bar(kFloorDb - 50), 0);
  assert.equal(share_of_bar(3), 1);
});

test('the talker turns the short way round, and old places expire', () => {
  assert.equal(turn_towards(350, 10, 0.5), 0);
  assert.equal(turn_towards(10, 350, 1), 350);
  const trail = new Trail(1000);
  trail.add(0, 10, 1);
  trail.add(500, 20, 0.01);
  trail.add(900, 30, 1);
  assert.deepEqual(trail.points.map((p) => p.azimuth_deg), [10, 30]);
  trail.expire(1500);
  assert.deepEqual(trail.points.map((p) => p.azimuth_deg), [30]);
});

test('echo history: four values a second, gaps while the far end is silent, one minute long', () => {
  const history = new EchoHistory();
  let steps = 0;
  for (let t = 0; t < 90_000; t += 50) {
    if (history.add(t, 30, t % 10_000 < 5000)) steps++;
  }
  assert.equal(steps, 360);
  const seconds = (history.at_ms[history.at_ms.length - 1]! - history.at_ms[0]!) / 1000;
  assert.ok(seconds >= 60 && seconds < 61, String(seconds));
  assert.ok(history.erle_db.includes(null) && history.erle_db.includes(30));
});

test('speech level ignores pauses, and matching never amplifies', () => {
  const rate = 8000;
  const tone = (amplitude: number, from: number) =>
    Float32Array.from({ length: 4 * rate }, (_, i) =>
      i < from ? 0 : amplitude * Math.sin((2 * Math.PI * 440 * i) / rate),
    );
  const all = speech_level_db(tone(0.5, 0), rate);
  const half = speech_level_db(tone(0.5, 2 * rate), rate);
  assert.ok(Math.abs(all - -9.03) < 0.1, String(all));
  assert.ok(Math.abs(all - half) < 0.1, String(half));
  const [a, b] = matching_gains(-20, -30);
  assert.ok(Math.abs(a - 0.3162) < 1e-3 && b === 1);
  assert.deepEqual(matching_gains(-20, speech_level_db(new Float32Array(rate), rate)), [1, 1]);
});

test('a full-scale sine reaches 0 dB in its bin and nowhere else', () => {
  const size = 256;
  const spectrum = new Spectrum(size);
  const out = new Float32Array(size / 2 + 1);
  const sine = Float32Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * 32 * i) / size));
  spectrum.levels_db(sine, 0, out);
  assert.ok(Math.abs(out[32]!) < 0.01, String(out[32]));
  for (const bin of [0, 16, 29, 35, 100, 128]) assert.ok(out[bin]! < -60, `${bin}: ${out[bin]}`);
  assert.throws(() => new Spectrum(100));
});
