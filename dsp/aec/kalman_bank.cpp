// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/kalman_bank.h"

#include <algorithm>
#include <cassert>
#include <cmath>

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

/// Corrects one partition by the last block, lets its uncertainty grow, and adds its part of the
/// new block's echo. The one hot loop of the canceller.
struct Lane {
  float* __restrict wr;
  float* __restrict wi;
  float* __restrict p;
  const float* __restrict old_r;
  const float* __restrict old_i;
  const float* __restrict new_r;
  const float* __restrict new_i;
  const float* __restrict gr;
  const float* __restrict gi;
  const float* __restrict inverse;
  float* __restrict yr;
  float* __restrict yi;
  float* __restrict spread;
};

void run(const Lane& lane, int n, float gain, float shrink, float process_noise) {
  float* __restrict wr = lane.wr;
  float* __restrict wi = lane.wi;
  float* __restrict p = lane.p;
  float* __restrict yr = lane.yr;
  float* __restrict yi = lane.yi;
  float* __restrict spread = lane.spread;
  for (int k = 0; k < n; ++k) {
    const float xr = lane.old_r[k];
    const float xi = lane.old_i[k];
    const float uncertainty = p[k];
    const float step = gain * uncertainty;
    // W += P conj(X) G
    const float r = wr[k] + step * (xr * lane.gr[k] + xi * lane.gi[k]);
    const float i = wi[k] + step * (xr * lane.gi[k] - xi * lane.gr[k]);
    const float known = shrink * uncertainty * (xr * xr + xi * xi) * lane.inverse[k];
    const float left = uncertainty - uncertainty * known;
    const float now = left + process_noise * (r * r + i * i);
    const float fr = lane.new_r[k];
    const float fi = lane.new_i[k];
    wr[k] = r;
    wi[k] = i;
    p[k] = now;
    yr[k] += r * fr - i * fi;
    yi[k] += r * fi + i * fr;
    spread[k] += now * (fr * fr + fi * fi);
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

KalmanBank::KalmanBank(int microphones, int references, int partitions, int hop, int fft_size)
    : microphones_(microphones),
      partitions_(partitions),
      count_(references * partitions),
      hop_(hop),
      size_(fft_size),
      bins_(fft_size / 2 + 1),
      row_(padded(bins_)),
      overlap_(static_cast<float>(hop) / static_cast<float>(fft_size)),
      weights_(1, microphones * count_ * 3 * row_),
      echo_(microphones, 2 * row_),
      spread_(microphones, row_),
      correction_(microphones, 2 * row_),
      inverse_(microphones, row_),
      noise_(microphones, row_),
      time_(1, fft_size),
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
    std::fill_n(weights(mic, q) + 2 * row_, bins_, p);
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
      run(lane, row_, step.gain, shrink, step.process_noise);
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
    // What of this error the filter cannot explain by its own uncertainty is not echo.
    const float rest = noise[k] / (noise[k] + expected + kNoiseFloor);
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
      for (int k = 0; k < bins_; ++k) {
        wr[k] = work[2 * k];
        wi[k] = work[2 * k + 1];
      }
    }
  }
}

void KalmanBank::lift_uncertainty(float factor) {
  const float decay = std::pow(10.0F, -kPriorDecayDbPerSecond * 0.01F / 10.0F);
  const float shape_sum = (1 - std::pow(decay, static_cast<float>(partitions_))) / (1 - decay);
  for (int m = 0; m < microphones_; ++m) {
    const float energy = factor * weight_energy(m) / shape_sum;
    for (int q = 0; q < count_; ++q) {
      const float floor = energy * std::pow(decay, static_cast<float>(q % partitions_));
      float* p = weights(m, q) + 2 * row_;
      for (int k = 0; k < bins_; ++k) p[k] = std::max(p[k], floor);
    }
    for (float& noise : noise_[m]) noise = std::max(kNoiseFloor, 0.1F * noise);
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
  float sum = 0;
  for (int q = 0; q < count_; ++q) {
    const float* w = weights(mic, q);
    for (int k = 0; k < 2 * row_; ++k) sum += w[k] * w[k];
  }
  return sum / static_cast<float>(bins_);
}

float KalmanBank::predicted(int mic, int bin) const {
  return overlap_ * spread_[mic][static_cast<std::size_t>(bin)];
}

}  // namespace conclave::dsp
