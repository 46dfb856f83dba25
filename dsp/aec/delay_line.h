// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

/// Delays one signal by a whole number of samples; a change of the delay is cross-faded over one
/// block. For bringing the reference close to the echo. Audio thread, no allocation.
class DelayLine {
 public:
  /// max_delay 0..1'000'000 samples; blocks of up to max_frames.
  static Result<DelayLine> create(int max_delay, int max_frames);
  /// Clamped to 0..max_delay; takes effect with the next block.
  void set_delay(int samples) noexcept;
  int delay() const { return next_delay_; }
  /// in and out of equal length (<= max_frames); may be the same memory.
  void process(std::span<const float> in, std::span<float> out) noexcept;
  void reset() noexcept;

 private:
  DelayLine(int max_delay, int max_frames);
  int max_delay_;
  int max_frames_;
  int delay_ = 0;
  int next_delay_ = 0;
  int write_ = 0;
  FrameBuffer ring_;
};

}  // namespace conclave::dsp
