// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/resample/fractional_resampler.h"

namespace conclave::dsp {

/// Delays one signal, for bringing the reference close to the echo: by whole samples, bit for bit,
/// until a rate is set; then by a fraction that moves on with every sample, through the fractional
/// resampler, for a reference whose clock is not the microphone's. Audio thread, no allocation.
class VariableDelay {
 public:
  /// The least delay at which a rate can be had: half the resampler's length and a margin.
  static constexpr int kLeastMoving = FractionalResampler::kTaps / 2 + 4;

  /// max_delay 0..1'000'000 samples; blocks of up to max_frames, 16..65536.
  static Result<VariableDelay> create(int max_delay, int max_frames);

  /// From the next block on; clamped to what is possible. `fade`: the block goes from the old delay
  /// to the new one without a step. Without, samples are skipped or repeated at once, which is what
  /// a filter needs that was shifted by exactly as much.
  void set_delay(int samples, bool fade) noexcept;
  /// The delay shrinks by `ppm` millionths of a sample each sample, -1000..1000, from the next
  /// block on; negative grows. Does nothing while the delay is under kLeastMoving, and the rate
  /// falls to 0 when the delay reaches an end of its range.
  void set_rate(double ppm) noexcept;
  /// Of the next block's first sample.
  double delay() const noexcept;
  /// in and out of equal length (<= max_frames); may be the same memory.
  void process(std::span<const float> in, std::span<float> out) noexcept;
  void reset() noexcept;

 private:
  /// A place to read at. `moving`: through the resampler.
  struct Reader {
    std::int64_t at = 0;  // whole: next sample; moving: next input of the resampler
    bool moving = false;
    std::unique_ptr<FractionalResampler> resampler;
  };
  VariableDelay(int max_delay, int max_frames, std::unique_ptr<FractionalResampler> a,
                std::unique_ptr<FractionalResampler> b);
  void place(Reader& reader, int samples) noexcept;
  void copy(std::int64_t from, std::span<float> to) const noexcept;
  void read(Reader& reader, std::span<float> out) noexcept;
  double delay_of(const Reader& reader) const noexcept;

  int max_delay_;
  int max_frames_;
  FrameBuffer ring_;
  FrameBuffer input_;  // of the resampler
  FrameBuffer faded_;  // what the old reader gives
  Reader now_;
  Reader old_;
  bool fading_ = false;
  double ratio_ = 1;          // output over input rate
  std::int64_t written_ = 0;  // samples so far: index of the next block's first
};

}  // namespace conclave::dsp
