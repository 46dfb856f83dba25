// SPDX-License-Identifier: Apache-2.0

/** Power spectra by a radix-2 Cooley-Tukey FFT with a Hann window; size is a power of two. */
export class Spectrum {
  private readonly cos_: Float64Array;
  private readonly sin_: Float64Array;
  private readonly window_: Float64Array;
  private readonly re_: Float64Array;
  private readonly im_: Float64Array;
  private readonly order_: Uint32Array;

  constructor(readonly size: number) {
    const bits = Math.log2(size);
    if (!Number.isInteger(bits) || bits < 2) throw new RangeError('size must be a power of two');
    this.cos_ = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sin_ = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    this.window_ = Float64Array.from(
      { length: size },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size),
    );
    this.re_ = new Float64Array(size);
    this.im_ = new Float64Array(size);
    this.order_ = Uint32Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let bit = 0; bit < bits; ++bit) if (i & (1 << bit)) reversed |= 1 << (bits - 1 - bit);
      return reversed;
    });
  }

  /** Levels of the bins 0 … size/2 in dB; a full-scale sine reaches 0. Zero beyond the ends. */
  levels_db(samples: Float32Array, start: number, out: Float32Array): void {
    const { size, re_: re, im_: im } = this;
    for (let i = 0; i < size; ++i) {
      const from = this.order_[i]!;
      re[i] = (samples[start + from] ?? 0) * this.window_[from]!;
      im[i] = 0;
    }
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start_of = 0; start_of < size; start_of += 2 * half) {
        for (let k = 0; k < half; ++k) {
          const c = this.cos_[k * stride]!;
          const s = this.sin_[k * stride]!;
          const a = start_of + k;
          const b = a + half;
          const tr = re[b]! * c - im[b]! * s;
          const ti = re[b]! * s + im[b]! * c;
          re[b] = re[a]! - tr;
          im[b] = im[a]! - ti;
          re[a] = re[a]! + tr;
          im[a] = im[a]! + ti;
        }
      }
    }
    const full_scale = (size / 4) ** 2;
    for (let k = 0; k <= size / 2; ++k) {
      out[k] = 10 * Math.log10((re[k]! ** 2 + im[k]! ** 2) / full_scale + 1e-20);
    }
  }
}
