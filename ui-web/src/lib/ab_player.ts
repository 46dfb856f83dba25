// SPDX-License-Identifier: Apache-2.0
import { matching_gains, speech_level_db } from './loudness';

export type Side = 0 | 1;

/** Cross-fade of a switch, as a time constant: too short to notice, long enough not to click. */
const kSwitchSeconds = 0.006;

/**
 * Plays two recordings of the same time at once and lets one of them be heard, so that a switch
 * needs no seeking and both stay together to the sample.
 */
export class AbPlayer {
  readonly levels_db: [number, number];
  readonly seconds: number;
  /** Called when the end is reached. */
  on_end: () => void = () => undefined;

  private readonly gains_: [GainNode, GainNode];
  private sources_: AudioBufferSourceNode[] = [];
  private heard_: Side = 1;
  private matched_ = true;
  private started_at_ = 0;
  private offset_ = 0;
  private playing_ = false;

  private constructor(
    private readonly context_: AudioContext,
    readonly buffers: [AudioBuffer, AudioBuffer],
  ) {
    this.seconds = Math.min(buffers[0].duration, buffers[1].duration);
    const level = (buffer: AudioBuffer) =>
      speech_level_db(buffer.getChannelData(0), buffer.sampleRate);
    this.levels_db = [level(buffers[0]), level(buffers[1])];
    const gain = () => {
      const node = context_.createGain();
      node.gain.value = 0;
      node.connect(context_.destination);
      return node;
    };
    this.gains_ = [gain(), gain()];
    this.set_gains(0);
  }

  /** Fetches and decodes both; rejects when one of them cannot be had. */
  static async load(urls: [string, string]): Promise<AbPlayer> {
    const context = new AudioContext();
    try {
      const load_one = async (url: string) => {
        const response = await fetch(url, { cache: 'no-store' });
        if (!response.ok) throw new Error(`status ${response.status}`);
        return context.decodeAudioData(await response.arrayBuffer());
      };
      const [a, b] = await Promise.all([load_one(urls[0]), load_one(urls[1])]);
      return new AbPlayer(context, [a, b]);
    } catch (error) {
      void context.close();
      throw error;
    }
  }

  get playing(): boolean {
    return this.playing_;
  }

  get position(): number {
    if (!this.playing_) return this.offset_;
    const passed = this.context_.currentTime - this.started_at_;
    return Math.min(this.seconds, this.offset_ + Math.max(0, passed));
  }

  /** How much the louder recording is lowered, dB. */
  get matched_db(): number {
    const gains = matching_gains(...this.levels_db);
    return Math.abs(20 * Math.log10(Math.min(...gains)));
  }

  play(): void {
    if (this.playing_) return;
    if (this.offset_ >= this.seconds) this.offset_ = 0;
    void this.context_.resume();
    this.started_at_ = this.context_.currentTime + 0.02;
    this.sources_ = this.buffers.map((buffer, side) => {
      const source = this.context_.createBufferSource();
      source.buffer = buffer;
      source.connect(this.gains_[side as Side]);
      source.start(this.started_at_, this.offset_);
      return source;
    });
    this.sources_[0]!.onended = () => {
      if (!this.playing_) return;
      this.pause();
      this.offset_ = 0;
      this.on_end();
    };
    this.playing_ = true;
  }

  pause(): void {
    if (!this.playing_) return;
    this.offset_ = this.position;
    this.playing_ = false;
    for (const source of this.sources_) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.sources_ = [];
  }

  seek(seconds: number): void {
    const was_playing = this.playing_;
    this.pause();
    this.offset_ = Math.min(this.seconds, Math.max(0, seconds));
    if (was_playing) this.play();
  }

  hear(side: Side): void {
    this.heard_ = side;
    this.set_gains(kSwitchSeconds);
  }

  match(matched: boolean): void {
    this.matched_ = matched;
    this.set_gains(kSwitchSeconds);
  }

  close(): void {
    this.pause();
    void this.context_.close();
  }

  private set_gains(seconds: number): void {
    const factors = this.matched_ ? matching_gains(...this.levels_db) : [1, 1];
    for (const side of [0, 1] as const) {
      const gain = this.gains_[side].gain;
      const target = side === this.heard_ ? factors[side]! : 0;
      if (seconds > 0) gain.setTargetAtTime(target, this.context_.currentTime, seconds);
      else gain.value = target;
    }
  }
}
