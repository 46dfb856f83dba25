// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_floor.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace conclave::dsp {
namespace {

constexpr float kSmoothSeconds = 0.05F;
constexpr float kPartSeconds = 0.25F;
// The least of two seconds of power smoothed so long is this much under the mean, for noise.
constexpr float kBias = 2.4F;
constexpr float kNever = std::numeric_limits<float>::max();

}  // namespace

NoiseFloor::NoiseFloor(int bins, float hop_seconds)
    : smoothed_(1, bins),
      parts_(kParts, bins),
      current_(1, bins),
      bound_(1, bins),
      keep_(std::exp(-hop_seconds / kSmoothSeconds)),
      part_frames_(std::max(1, static_cast<int>(std::lround(kPartSeconds / hop_seconds)))) {
  reset();
}

void NoiseFloor::reset() noexcept {
  smoothed_.clear();
  bound_.clear();
  std::ranges::fill(current_[0], kNever);
  for (int p = 0; p < kParts; ++p) std::ranges::fill(parts_[p], kNever);
  frame_ = 0;
  part_ = 0;
  started_ = false;
}

void NoiseFloor::process(ConstSpectrumView in) noexcept {
  const auto x = in[0];
  float sum = 0.0F;
  for (const auto& bin : x) sum += bin.real() * bin.real() + bin.imag() * bin.imag();
  if (!std::isfinite(sum)) return;
  const float learn = started_ ? 1.0F - keep_ : 1.0F;
  started_ = true;
  const auto smoothed = smoothed_[0];
  const auto current = current_[0];
  for (std::size_t k = 0; k < smoothed.size(); ++k) {
    const float power = x[k].real() * x[k].real() + x[k].imag() * x[k].imag();
    smoothed[k] += learn * (power - smoothed[k]);
    current[k] = std::min(current[k], smoothed[k]);
  }
  const auto bound = bound_[0];
  for (std::size_t k = 0; k < bound.size(); ++k) bound[k] = current[k];
  for (int p = 0; p < kParts; ++p) {
    const auto least = parts_[p];
    for (std::size_t k = 0; k < bound.size(); ++k) bound[k] = std::min(bound[k], least[k]);
  }
  if (++frame_ >= part_frames_) {
    frame_ = 0;
    std::ranges::copy(current, parts_[part_].begin());
    std::ranges::fill(current, kNever);
    part_ = (part_ + 1) % kParts;
  }
}

void NoiseFloor::limit(std::span<const float> noise, std::span<float> out) const noexcept {
  const auto bound = bound_[0];
  const std::size_t bins = std::min({bound.size(), noise.size(), out.size()});
  for (std::size_t k = 0; k < bins; ++k) out[k] = std::min(noise[k], kBias * bound[k]);
}

}  // namespace conclave::dsp
