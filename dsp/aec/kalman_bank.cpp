// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/kalman_bank.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace conclave::dsp {
namespace {

constexpr int kPad = 16;  // floats of a cache line
int padded(int bins) { return (bins + kPad - 1) / kPad * kPad; }

// A loudspeaker beside its microphones couples with about 0 dB, and a room loses 60 dB in about
// 0.4 s: what the filter expects before it has heard anything.
constexpr float kPriorGain = 0.3F;
constexpr float kPriorDecayDbPerSecond = 120.0F;
constexpr float kNoiseFloor = 1e-9F;
constexpr float kNoiseSmoothing = 0.8F;

/// Rows of one partition of one microphone, each of which starts on a cache line.
struct Lane {
  float* weight_real;
  float* weight_imag;
  float* uncertainty;
  const float* old_far_real;  // far end of the block before, which the correction belongs to
  const float* old_far_imag;
  const float* far_real;
  const float* far_imag;
  const float* correction_real;
  const float* correction_imag;
  const float* inverse;
  float* echo_real;
  float* echo_imag;
  float* spread;
};

template <typename T>
T* line(T* p) {
  return static_cast<T*>(__builtin_assume_aligned(p, 64));
}

/// Corrects one partition by the last block, lets its uncertainty grow, and adds its part of the
/// new block's echo. The one hot loop of the canceller: no two rows overlap, which the compiler
/// needs to be told.
void run(const Lane& lane, int n, float gain, float shrink, float process_noise) {
  float* wr = line(lane.weight_real);
  float* wi = line(lane.weight_imag);
  float* p = line(lane.uncertainty);
  const float* xr = line(lane.old_far_real);
  const float* xi = line(lane.old_far_imag);
  const float* fr = line(lane.far_real);
  const float* fi = line(lane.far_imag);
  const float* gr = line(lane.correction_real);
  const float* gi = line(lane.correction_imag);
  const float* inverse = line(lane.inverse);
  float* yr = line(lane.echo_real);
  float* yi = line(lane.echo_imag);
  float* spread = line(lane.spread);
#pragma GCC ivdep
  for (int k = 0; k < n; ++k) {
    const float step = gain * p[k];
    // W += P conj(X) G
    const float r = wr[k] + step * (xr[k] * gr[k] + xi[k] * gi[k]);
    const float i = wi[k] + step * (xr[k] * gi[k] - xi[k] * gr[k]);
    const float known = shrink * p[k] * (xr[k] * xr[k] + xi[k] * xi[k]) * inverse[k];
    const float now = p[k] - p[k] * known + process_noise * (r * r + i * i);
    wr[k] = r;
    wi[k] = i;
    p[k] = now;
    yr[k] += r * fr[k] - i * fi[k];
    yi[k] += r * fi[k] + i * fr[k];
    spread[k] += now * (fr[k] * fr[k] + fi[k] * fi[k]);
  }
}

}  // namespace

FarHistory::FarHistory(int references, int partitions, int bins)
    : references_(references),
      partitions_(partitions),
      slots_(partitions + 1),
      row_(padded(bins)),
      spectra_(1, references * slots_ * 2 * row_) {}

void FarHistory::advance() { newest_ = (newest_ + slots_ - 1) % slots_; }
void FarHistory::clear() { spectra_.clear(); }

void FarHistory::delay(int samples, int hop, int fft_size) {
  const int blocks = std::min(samples / hop, slots_);
  newest_ = (newest_ + blocks) % slots_;
  const int rest = samples % hop;
  for (int r = 0; r < references_; ++r) {
    for (int age = slots_ - blocks; age < slots_; ++age) std::fill_n(real(r, age), 2 * row_, 0.0F);
    if (rest == 0) continue;
    // A circular shift: what wraps around lies before what the overlap-save filter looks at.
    const double turn = -2 * std::numbers::pi * rest / fft_size;
    for (int k = 0; k < fft_size / 2 + 1; ++k) {
      const auto c = static_cast<float>(std::cos(turn * k));
      const auto s = static_cast<float>(std::sin(turn * k));
      for (int age = 0; age < slots_ - blocks; ++age) {
        float& re = real(r, age)[k];
        float& im = imag(r, age)[k];
        const float turned = re * c - im * s;
        im = re * s + im * c;
        re = turned;
      }
    }
  }
}

KalmanBank::KalmanBank(int microphones, int references, int partitions, int hop, int fft_size,
                       int wide_partitions, int narrow_bins)
    : microphones_(microphones),
      partitions_(partitions),
      count_(references * partitions),
      hop_(hop),
      size_(fft_size),
      bins_(fft_size / 2 + 1),
      row_(padded(bins_)),
      wide_(wide_partitions),
      narrow_(std::min(narrow_bins, bins_)),
      overlap_(static_cast<float>(hop) / static_cast<float>(fft_size)),
      weights_(1, microphones * count_ * 3 * row_),
      echo_(microphones, 2 * row_),
      spread_(microphones, row_),
      correction_(microphones, 2 * row_),
      inverse_(microphones, row_),
      noise_(microphones, row_),
      time_(2, fft_size),
      response_(1, partitions * hop),
      bins_work_(1, bins_) {
  reset();
}

void KalmanBank::reset() {
  for (int m = 0; m < microphones_; ++m) reset_mic(m);
  next_constrained_ = 0;
}

void KalmanBank::reset_mic(int mic) {
  for (int q = 0; q < count_; ++q) std::fill_n(weights(mic, q), 3 * row_, 0.0F);
  std::ranges::fill(correction_[mic], 0.0F);
  std::ranges::fill(inverse_[mic], 0.0F);
  std::ranges::fill(noise_[mic], kNoiseFloor);
  prior(mic);
}

void KalmanBank::prior(int mic) {
  // hop samples are 10 ms or so; partitions of later time carry less.
  const float decay = std::pow(10.0F, -kPriorDecayDbPerSecond * 0.01F / 10.0F);
  for (int q = 0; q < count_; ++q) {
    const float p = kPriorGain * std::pow(decay, static_cast<float>(q % partitions_));
    std::fill_n(weights(mic, q) + 2 * row_, reach(q), p);
  }
}

void KalmanBank::filter(const FarHistory& far, const KalmanStep& step) {
  assert(far.row() == row_ && far.partitions() == partitions_);
  const float shrink = overlap_ * step.gain * step.certainty;
  for (int m = 0; m < microphones_; ++m) {
    float* echo = echo_[m].data();
    float* spread = spread_[m].data();
    std::fill_n(echo, 2 * row_, 0.0F);
    std::fill_n(spread, row_, 0.0F);
    const float* correction = correction_[m].data();
    for (int q = 0; q < count_; ++q) {
      const int reference = q / partitions_;
      const int age = q % partitions_;
      float* w = weights(m, q);
      const Lane lane{w,
                      w + row_,
                      w + 2 * row_,
                      far.real(reference, age + 1),
                      far.imag(reference, age + 1),
                      far.real(reference, age),
                      far.imag(reference, age),
                      correction,
                      correction + row_,
                      inverse_[m].data(),
                      echo,
                      echo + row_,
                      spread};
      run(lane, padded(reach(q)), step.gain, shrink, step.process_noise);
    }
  }
}

void KalmanBank::set_error(int mic, std::span<const std::complex<float>> error) {
  const float* __restrict spread = spread_[mic].data();
  float* __restrict noise = noise_[mic].data();
  float* __restrict inverse = inverse_[mic].data();
  float* __restrict gr = correction_[mic].data();
  float* __restrict gi = gr + row_;
  const float* e = reinterpret_cast<const float*>(error.data());
  const float blow = 1.0F / overlap_;
  for (int k = 0; k < bins_; ++k) {
    const float re = e[2 * k];
    const float im = e[2 * k + 1];
    const float power = re * re + im * im;
    const float expected = overlap_ * spread[k];
    // What of this error the filter cannot explain by its own uncertainty is not echo. It is never
    // less than a quarter: partitions see nearly the same far end while a vowel lasts, and steps
    // that trust all of them overshoot.
    const float rest = std::max(0.25F, noise[k] / (noise[k] + expected + kNoiseFloor));
    const float unexplained = power * rest;
    noise[k] =
        std::max(kNoiseFloor, kNoiseSmoothing * noise[k] + (1 - kNoiseSmoothing) * unexplained);
    const float inv = 1.0F / (spread[k] + blow * noise[k]);
    inverse[k] = inv;
    gr[k] = re * inv;
    gi[k] = im * inv;
  }
}

void KalmanBank::constrain(RealFft& fft, int count) {
  const float scale = 1.0F / static_cast<float>(size_);
  for (int n = 0; n < std::min(count, count_); ++n) {
    const int q = next_constrained_;
    next_constrained_ = (next_constrained_ + 1) % count_;
    for (int m = 0; m < microphones_; ++m) {
      float* __restrict wr = weights(m, q);
      float* __restrict wi = wr + row_;
      float* work = reinterpret_cast<float*>(bins_work_.data());
      for (int k = 0; k < bins_; ++k) {
        work[2 * k] = wr[k] * scale;
        work[2 * k + 1] = wi[k] * scale;
      }
      fft.inverse_unscaled(bins_work_[0], time_[0]);
      std::fill(time_.data() + hop_, time_.data() + size_, 0.0F);
      fft.forward(time_[0], bins_work_[0]);
      const int reached = reach(q);
      for (int k = 0; k < reached; ++k) {
        wr[k] = work[2 * k];
        wi[k] = work[2 * k + 1];
      }
    }
  }
}

void KalmanBank::lift_uncertainty(float factor) {
  constexpr int kReach = 8;  // bins: a notch of the old path need not be one of the new
  const float decay = std::pow(10.0F, -kPriorDecayDbPerSecond * 0.01F / 10.0F);
  const float shape_sum = (1 - std::pow(decay, static_cast<float>(partitions_))) / (1 - decay);
  for (int m = 0; m < microphones_; ++m) {
    // Each bin by its own energy: where the far end has no sound, weights are arbitrary.
    float* energy = time_[0].data();
    std::fill_n(energy, bins_, 0.0F);
    for (int q = 0; q < count_; ++q) {
      const float* w = weights(m, q);
      for (int k = 0; k < bins_; ++k) energy[k] += w[k] * w[k] + w[row_ + k] * w[row_ + k];
    }
    float* lift = time_[1].data();
    for (int k = 0; k < bins_ - 1; ++k) {
      float sum = 0;
      const int from = std::max(0, k - kReach);
      const int to = std::min(bins_ - 1, k + kReach);
      for (int i = from; i <= to; ++i) sum += energy[i];
      lift[k] = factor / shape_sum * std::min(4.0F, sum / static_cast<float>(to - from + 1));
    }
    for (int q = 0; q < count_; ++q) {
      const float fade = std::pow(decay, static_cast<float>(q % partitions_));
      float* p = weights(m, q) + 2 * row_;
      const int reached = std::min(reach(q), bins_ - 1);
      for (int k = 0; k < reached; ++k) p[k] = std::max(p[k], fade * lift[k]);
    }
    // The pending correction was weighed by the old uncertainty: with the new one it would be
    // far too large.
    std::ranges::fill(correction_[m], 0.0F);
    std::ranges::fill(inverse_[m], 0.0F);
  }
}

void KalmanBank::advance_echo(RealFft& fft, int samples) {
  const int length = partitions_ * hop_;
  const int shift = std::clamp(samples, 0, length);
  const int blocks = shift / hop_;
  const float scale = 1.0F / static_cast<float>(size_);
  float* response = response_.data();
  float* work = reinterpret_cast<float*>(bins_work_.data());
  for (int m = 0; m < microphones_; ++m) {
    for (int first = 0; first < count_; first += partitions_) {
      for (int q = 0; q < partitions_; ++q) {
        const float* w = weights(m, first + q);  // zeros above what is filtered
        for (int k = 0; k < bins_; ++k) {
          work[2 * k] = w[k] * scale;
          work[2 * k + 1] = w[row_ + k] * scale;
        }
        fft.inverse_unscaled(bins_work_[0], time_[0]);
        std::copy_n(time_.data(), hop_, response + q * hop_);
      }
      std::copy(response + shift, response + length, response);
      std::fill(response + length - shift, response + length, 0.0F);
      for (int q = 0; q < partitions_; ++q) {
        std::fill_n(time_.data(), size_, 0.0F);
        std::copy_n(response + q * hop_, hop_, time_.data());
        fft.forward(time_[0], bins_work_[0]);
        float* w = weights(m, first + q);
        const int reached = reach(q);
        for (int k = 0; k < reached; ++k) {
          w[k] = work[2 * k];
          w[row_ + k] = work[2 * k + 1];
        }
        // What is uncertain of the response moves along, and what was uncertain here stays so: a
        // filter that has just begun expects more of its start than of its end.
        const float* moved = weights(m, first + std::min(q + blocks, partitions_ - 1)) + 2 * row_;
        float* p = w + 2 * row_;
        for (int k = 0; k < row_; ++k) p[k] = std::max(p[k], moved[k]);
      }
    }
  }
}

void KalmanBank::copy_from(const KalmanBank& other, int other_mic, int mic) {
  assert(other.count_ == count_ && other.row_ == row_);
  std::copy_n(other.weights(other_mic, 0), static_cast<std::ptrdiff_t>(count_) * 3 * row_,
              weights(mic, 0));
  std::ranges::copy(other.noise_[other_mic], noise_[mic].begin());
  std::ranges::copy(other.correction_[other_mic], correction_[mic].begin());
  std::ranges::copy(other.inverse_[other_mic], inverse_[mic].begin());
}

float KalmanBank::weight_energy(int mic) const {
  constexpr int kLanes = 16;  // sums side by side vectorise, and rows are multiples of it
  float sums[kLanes] = {};
  for (int q = 0; q < count_; ++q) {
    const float* w = line(weights(mic, q));
    for (int k = 0; k < 2 * row_; k += kLanes) {
      for (int i = 0; i < kLanes; ++i) sums[i] += w[k + i] * w[k + i];
    }
  }
  float sum = 0;
  for (const float s : sums) sum += s;
  return sum / static_cast<float>(bins_);
}

float KalmanBank::predicted(int mic, int bin) const {
  return overlap_ * spread_[mic][static_cast<std::size_t>(bin)];
}

}  // namespace conclave::dsp
