// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct LimiterConfig {
  int sample_rate = 48000;
  int hop = 480;
  int channels = 1;         ///< all get the same gain
  float ceiling_dbfs = -1;  ///< -20..0; no output sample is above it
  float look_ahead_ms = 2;  ///< 0.5..5; the delay of the block
  float release_ms = 80;    ///< 5..1000
};

struct LimiterMetrics {
  float gain_db = 0;           ///< smallest gain within the last frame, <= 0
  std::uint64_t limited = 0;   ///< samples that got a gain below 1 since reset
  std::uint64_t repaired = 0;  ///< NaN or Inf samples replaced by 0 since reset
};

/// Look-ahead peak limiter: a sliding minimum of the wanted gain (monotone queue: Lemire 2006) over
/// the look-ahead, smoothed by a moving average of the same length, so that the gain has arrived
/// when the peak does; exponential release. Output never exceeds the ceiling, whatever the input.
///
/// create(): any thread. The rest: the audio thread.
class Limiter {
 public:
  static Result<std::unique_ptr<Limiter>> create(const LimiterConfig& config);
  ~Limiter();
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;

  void reset() noexcept;
  /// `inout` channels x n, n <= hop.
  void process(FrameView inout) noexcept;
  const LimiterMetrics& metrics() const noexcept;
  /// Samples of delay.
  int latency_frames() const noexcept;

 private:
  struct State;
  explicit Limiter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
