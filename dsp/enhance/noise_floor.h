// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "base/frame_view.h"

namespace conclave::dsp {

/// An upper bound of the room's noise in each bin that speech and echo cannot raise: the least
/// smoothed power of the last two seconds, corrected for the bias of a minimum (minimum statistics,
/// R. Martin, IEEE Trans. Speech Audio Process. 9(5), 2001, with a constant smoothing).
///
/// Feed it the signal before any suppression, whoever talks: everything that adds to noise adds
/// power, so the least of it is at most the noise. The noise tracker follows quicker, but what it
/// learned in the first words of a call can be far too high, and while the far end talks it learns
/// nothing; what is made from its estimate (comfort noise) is held under this bound.
///
/// Allocates in the constructor only. Everything else: the audio thread, cost independent of the
/// samples.
class NoiseFloor {
 public:
  NoiseFloor() = default;
  NoiseFloor(int bins, float hop_seconds);

  void reset() noexcept;
  /// 1 x bins. Frames with values that are not finite are left out.
  void process(ConstSpectrumView in) noexcept;
  /// out = min(noise, bound), bins each. Before the first frame the bound is 0.
  void limit(std::span<const float> noise, std::span<float> out) const noexcept;

 private:
  static constexpr int kParts = 8;  // of the window

  FrameBuffer smoothed_;  // 1 x bins
  FrameBuffer parts_;     // kParts x bins: least power of each finished part
  FrameBuffer current_;   // 1 x bins: of the part under way
  FrameBuffer bound_;     // 1 x bins
  float keep_ = 0.9F;
  int part_frames_ = 25;
  int frame_ = 0;  // in the current part
  int part_ = 0;
  bool started_ = false;
};

}  // namespace conclave::dsp
