// SPDX-License-Identifier: Apache-2.0
import { text } from '../text';

/** A number with a true minus sign, or a dash when it is not known. */
export function number(value: number | undefined, digits = 0): string {
  if (value === undefined || !Number.isFinite(value)) return text.unknown;
  const rounded = value.toFixed(digits);
  const is_zero = Number(rounded) === 0;
  const body = rounded.replace('-', '');
  return value < 0 && !is_zero ? `${text.minus}${body}` : body;
}

/** Thousands set apart by a thin space: 1 234 567. */
export function count(value: number | undefined): string {
  if (value === undefined) return text.unknown;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

/** 0:07, 12:34, 1:02:03. */
export function duration(ms: number): string {
  const all = Math.max(0, Math.floor(ms / 1000));
  const pad = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(all % 60)}` : `${minutes}:${pad(all % 60)}`;
}

export const clock_time = (ms: number): string =>
  new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

export const degrees = (value: number): string => `${Math.round(value) % 360}°`;
