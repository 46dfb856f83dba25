// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_tracker.h"

#include <Eigen/Core>
#include <algorithm>
#include <cassert>
#include <cmath>

namespace conclave::dsp {
namespace {

using Row = Eigen::Map<Eigen::ArrayXf>;
using ConstRow = Eigen::Map<const Eigen::ArrayXf>;

constexpr float kPriorSnr = 31.6227766F;  // 15 dB: what speech is expected to have where it is
constexpr float kPaperHop = 0.016F;
constexpr float kLeastNoise = 1e-14F;  // keeps ratios finite in digital silence
constexpr float kStuck = 0.99F;
constexpr int kStartFrames = 5;

Row row(FrameBuffer& b) { return {b[0].data(), static_cast<Eigen::Index>(b[0].size())}; }

}  // namespace

NoiseTracker::NoiseTracker(int bins, float hop_seconds)
    : noise_(1, bins),
      presence_(1, bins),
      long_presence_(1, bins),
      keep_noise_(std::pow(0.8F, hop_seconds / kPaperHop)),
      keep_presence_(std::pow(0.9F, hop_seconds / kPaperHop)) {
  reset();
}

void NoiseTracker::reset() noexcept {
  row(noise_).setConstant(kLeastNoise);
  row(presence_).setZero();
  row(long_presence_).setZero();
  frames_ = 0;
}

void NoiseTracker::update(std::span<const float> power, bool adapt) noexcept {
  assert(power.size() == noise_[0].size());
  const ConstRow y(power.data(), static_cast<Eigen::Index>(power.size()));
  Row noise = row(noise_);
  Row presence = row(presence_);
  Row lasting = row(long_presence_);
  if (frames_ < kStartFrames) {
    if (!adapt || y.sum() <= kLeastNoise * static_cast<float>(y.size())) {
      presence.setZero();
      return;
    }
    ++frames_;
    noise += (y - noise) / static_cast<float>(frames_);
    noise = noise.max(kLeastNoise);
    presence.setZero();
    return;
  }
  constexpr float kSlope = kPriorSnr / (1 + kPriorSnr);
  // exp(-40) is far below what a float sum with 1 can see, and it keeps exp() out of denormals.
  presence = 1 / (1 + (1 + kPriorSnr) * (-(kSlope * y / noise).min(40.0F)).exp());
  if (!adapt) return;
  lasting = keep_presence_ * lasting + (1 - keep_presence_) * presence;
  // Where speech is said to be there all the time, the noise has probably risen: a little of the
  // frame is let in whatever the presence.
  const Eigen::Index bins = y.size();
  float* const n = noise.data();
  const float* const p = presence.data();
  const float* const l = lasting.data();
  const float learn = 1 - keep_noise_;
  for (Eigen::Index k = 0; k < bins; ++k) {
    const float limited = l[k] > kStuck ? std::min(p[k], kStuck) : p[k];
    const float next = n[k] + learn * (1 - limited) * (power[static_cast<std::size_t>(k)] - n[k]);
    n[k] = std::max(next, kLeastNoise);
  }
}

}  // namespace conclave::dsp
