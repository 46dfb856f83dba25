// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/onset_weight.h"

#include <algorithm>
#include <cmath>

namespace conclave::dsp {
namespace {

constexpr float kDelaySeconds = 0.04F;
constexpr float kReverberationSeconds = 0.6F;  // RT60 assumed
constexpr float kOverNoise = 2.0F;             // noise counts double: its peaks are no onsets
constexpr float kOverTail = 1.0F;
constexpr float kSmoothSeconds = 0.015F;

}  // namespace

OnsetWeight::OnsetWeight(int first_bin, int bins, float hop_seconds)
    : first_bin_(first_bin),
      bins_(bins),
      delay_(
          std::clamp(static_cast<int>(std::lround(kDelaySeconds / hop_seconds)), 1, kHistory - 1)),
      decay_(std::pow(10.0F, -6 * kDelaySeconds / kReverberationSeconds)),
      keep_(std::exp(-hop_seconds / kSmoothSeconds)),
      tracker_(bins, hop_seconds),
      power_(1, bins),
      smooth_(1, bins),
      past_(kHistory, bins),
      weight_(1, bins) {}

void OnsetWeight::reset() noexcept {
  tracker_.reset();
  smooth_.clear();
  past_.clear();
  weight_.clear();
  presence_ = 0;
  at_ = 0;
}

void OnsetWeight::update(ConstSpectrumView ring, bool adapt) noexcept {
  const auto count = static_cast<std::size_t>(bins_);
  float* __restrict power = power_[0].data();
  std::fill_n(power, count, 0.0F);
  for (int m = 0; m < ring.channels(); ++m) {
    const auto* x =
        reinterpret_cast<const float*>(ring[m].data() + static_cast<std::ptrdiff_t>(first_bin_));
    for (int k = 0; k < bins_; ++k) power[k] += x[2 * k] * x[2 * k] + x[2 * k + 1] * x[2 * k + 1];
  }
  const float norm = 1.0F / static_cast<float>(ring.channels());
  for (int k = 0; k < bins_; ++k) power[k] *= norm;
  tracker_.update(power_[0], adapt);

  float* __restrict smooth = smooth_[0].data();
  float* __restrict now = past_[at_].data();
  const float* __restrict before = past_[(at_ + kHistory - delay_) % kHistory].data();
  const float* __restrict noise = tracker_.noise().data();
  float* __restrict weight = weight_[0].data();
  float presence = 0;
  const float* __restrict p = tracker_.presence().data();
  for (int k = 0; k < bins_; ++k) {
    smooth[k] = keep_ * smooth[k] + (1 - keep_) * power[k];
    now[k] = smooth[k];
    const float late = std::max(0.0F, before[k] - noise[k]) * decay_;
    const float w = 1 - (kOverNoise * noise[k] + kOverTail * late) / (power[k] + 1e-20F);
    weight[k] = std::max(0.0F, w);
    presence += p[k];
  }
  presence_ = presence / static_cast<float>(bins_);
  at_ = (at_ + 1) % kHistory;
}

}  // namespace conclave::dsp
