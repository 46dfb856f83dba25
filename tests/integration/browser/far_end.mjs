// SPDX-License-Identifier: Apache-2.0
// What the far end hears, from a command that prints a level, or from its growing WAV recording.
import { execSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Level of the far end's ears in dBFS, or undefined when neither source was given. The command
 * prints a number, or JSON with rms_db.
 */
export function far_level_db({ command, recording }, seconds = 0.5) {
  if (command) {
    const out = execSync(command, { encoding: 'utf8' }).trim();
    const value = out.startsWith('{') ? JSON.parse(out).rms_db : Number(out.split(/\s+/)[0]);
    if (!Number.isFinite(value)) throw new Error(`--far-level-cmd printed no level: ${out}`);
    return value;
  }
  return recording ? tail_level_db(recording, seconds) : undefined;
}

/** RMS of the last moments of a WAV file that may still grow; its header's sizes are not trusted. */
export function tail_level_db(path, seconds) {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const head = Buffer.alloc(Math.min(size, 4096));
    readSync(file, head, 0, head.length, 0);
    const { format, channels, rate, bits, data_at } = parse_header(head);
    const frame = (channels * bits) / 8;
    const frames = Math.min(Math.floor((size - data_at) / frame), Math.round(rate * seconds));
    if (frames <= 0) return -120;
    const body = Buffer.alloc(frames * frame);
    const start = data_at + (Math.floor((size - data_at) / frame) - frames) * frame;
    readSync(file, body, 0, body.length, start);
    let sum = 0;
    const samples = frames * channels;
    for (let i = 0; i < samples; ++i) sum += sample(body, i, bits, format) ** 2;
    return Math.max(-120, 10 * Math.log10(sum / samples + 1e-12));
  } finally {
    closeSync(file);
  }
}

function parse_header(head) {
  let format = 1;
  let channels = 1;
  let rate = 48000;
  let bits = 16;
  for (let at = 12; at + 8 <= head.length; ) {
    const name = head.toString('latin1', at, at + 4);
    const length = head.readUInt32LE(at + 4);
    if (name === 'data') return { format, channels, rate, bits, data_at: at + 8 };
    if (name === 'fmt ') {
      format = head.readUInt16LE(at + 8);
      channels = head.readUInt16LE(at + 10);
      rate = head.readUInt32LE(at + 12);
      bits = head.readUInt16LE(at + 22);
      // WAVE_FORMAT_EXTENSIBLE holds the true format in its first two sub-format bytes.
      if (format === 0xfffe) format = head.readUInt16LE(at + 32);
    }
    at += 8 + length + (length & 1);
  }
  throw new Error('no data chunk in the first 4 kB of the recording');
}

function sample(body, index, bits, format) {
  if (format === 3) return bits === 64 ? body.readDoubleLE(8 * index) : body.readFloatLE(4 * index);
  if (bits === 16) return body.readInt16LE(2 * index) / 32768;
  if (bits === 24) return body.readIntLE(3 * index, 3) / 8388608;
  return body.readInt32LE(4 * index) / 2147483648;
}
