// SPDX-License-Identifier: Apache-2.0
import { Spectrum } from './spectrum';

const kTopHz = 8000;
const kSize = 1024;
const kRows = 128;
const kMaxColumns = 1000;
/** Loudness range of the picture, relative to the level of the speech. */
const kDarkDb = -70;
const kBrightDb = -8;

// Dark blue over violet and orange to near white: brightness grows evenly, also for the
// colour-blind.
const kStops: [number, number, number][] = [
  [11, 13, 23],
  [47, 26, 94],
  [125, 37, 121],
  [214, 73, 86],
  [249, 151, 84],
  [255, 240, 200],
];

/** Paints frequency (0 … 8 kHz, low at the bottom) over time; speech_db sets the brightness. */
export function draw_spectrogram(
  canvas: HTMLCanvasElement,
  samples: Float32Array,
  sample_rate: number,
  speech_db: number,
): void {
  const columns = Math.min(kMaxColumns, Math.max(1, Math.round(canvas.clientWidth)));
  canvas.width = columns;
  canvas.height = kRows;
  const context = canvas.getContext('2d');
  if (!context) return;
  const image = context.createImageData(columns, kRows);
  const spectrum = new Spectrum(kSize);
  const levels = new Float32Array(kSize / 2 + 1);
  const bins_per_row = ((kTopHz / sample_rate) * kSize) / kRows;
  for (let x = 0; x < columns; ++x) {
    const middle = ((x + 0.5) / columns) * samples.length;
    spectrum.levels_db(samples, Math.round(middle - kSize / 2), levels);
    for (let row = 0; row < kRows; ++row) {
      const bin = Math.min(kSize / 2, Math.round((row + 0.5) * bins_per_row));
      const share = (levels[bin]! - speech_db - kDarkDb) / (kBrightDb - kDarkDb);
      paint(image.data, 4 * ((kRows - 1 - row) * columns + x), share);
    }
  }
  context.putImageData(image, 0, 0);
}

function paint(pixels: Uint8ClampedArray, at: number, share: number): void {
  const place = Math.min(0.9999, Math.max(0, share)) * (kStops.length - 1);
  const low = Math.floor(place);
  const part = place - low;
  for (let channel = 0; channel < 3; ++channel) {
    const from = kStops[low]![channel]!;
    pixels[at + channel] = from + part * (kStops[low + 1]![channel]! - from);
  }
  pixels[at + 3] = 255;
}
