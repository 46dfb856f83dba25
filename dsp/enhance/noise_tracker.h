// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "base/frame_view.h"

namespace conclave::dsp {

/// Follows the power of the noise under speech, bin by bin: minimum mean-square error estimation
/// by speech presence probability with fixed priors (Gerkmann & Hendriks, "Unbiased MMSE-based
/// noise power estimation with low complexity and low tracking delay", IEEE TASLP 20(4), 2012). The
/// first frames are averaged, so that a useful estimate is there after 50 ms; it comes down at once
/// when speech was in them.
///
/// A part of other blocks. The constructor allocates; update() does not. Input must be finite.
class NoiseTracker {
 public:
  /// `hop_seconds`: time between two updates; the paper's constants are scaled to it.
  NoiseTracker(int bins, float hop_seconds);
  NoiseTracker() = default;

  void reset() noexcept;
  /// power: |X|^2 of each bin. With `adapt` false the estimate holds, presence is computed.
  void update(std::span<const float> power, bool adapt) noexcept;
  /// False until the first frame that was not digital silence.
  bool started() const noexcept { return frames_ > 0; }
  std::span<const float> noise() const noexcept { return noise_[0]; }
  /// Probability of speech in each bin of the last frame, 0..1.
  std::span<const float> presence() const noexcept { return presence_[0]; }

 private:
  FrameBuffer noise_;
  FrameBuffer presence_;
  FrameBuffer long_presence_;
  float keep_noise_ = 0.87F;
  float keep_presence_ = 0.94F;
  int frames_ = 0;
};

}  // namespace conclave::dsp
