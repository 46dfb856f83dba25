// SPDX-License-Identifier: Apache-2.0
import { signal } from '@preact/signals';

/** Fits the canvas to its box and the screen's pixels; undefined while the box has no size. */
export function fit_canvas(
  canvas: HTMLCanvasElement,
): { context: CanvasRenderingContext2D; width: number; height: number } | undefined {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const context = canvas.getContext('2d');
  if (!context || width === 0 || height === 0) return undefined;
  const scale = window.devicePixelRatio || 1;
  const pixels_x = Math.round(width * scale);
  const pixels_y = Math.round(height * scale);
  if (canvas.width !== pixels_x || canvas.height !== pixels_y) {
    canvas.width = pixels_x;
    canvas.height = pixels_y;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return { context, width, height };
}

export interface Palette {
  ink: string;
  ink_soft: string;
  line: string;
  surface: string;
  grid: string;
  plot: string;
  fill: string;
  shade: string;
  talker: string;
  font: string;
}

function read_palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: get('--ink'),
    ink_soft: get('--ink-soft'),
    line: get('--line-strong'),
    surface: get('--surface'),
    grid: get('--plot-grid'),
    plot: get('--plot-line'),
    fill: get('--plot-fill'),
    shade: get('--plot-shade'),
    talker: get('--plot-talker'),
    font: get('--font'),
  };
}

/** The colours of the style sheet for what is drawn on a canvas; follows light and dark. */
export const palette = signal<Palette>(read_palette());

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  palette.value = read_palette();
});
