// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include "base/frame_view.h"

namespace conclave::engine {

inline float db_to_gain(float db) noexcept { return std::pow(10.0F, db / 20.0F); }

/// A gain that moves to its target in a straight line over one block, so that nothing clicks.
class GainRamp {
 public:
  explicit GainRamp(float gain = 1.0F) : gain_(gain), target_(gain) {}

  void set_target(float gain) noexcept { target_ = gain; }
  /// There at once: before the first block.
  void jump() noexcept { gain_ = target_; }
  float gain() const noexcept { return gain_; }
  bool settled() const noexcept { return gain_ == target_; }

  /// In place, all channels alike.
  void process(FrameView signal) noexcept {
    if (settled() && gain_ == 1.0F) return;
    const float step = (target_ - gain_) / static_cast<float>(std::max(signal.frames(), 1));
    for (int c = 0; c < signal.channels(); ++c) {
      float gain = gain_;
      for (float& sample : signal[c]) {
        gain += step;
        sample *= gain;
      }
    }
    gain_ = target_;
  }

 private:
  float gain_;
  float target_;
};

}  // namespace conclave::engine
