// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "engine/metrics.h"

namespace conclave::engine {

/// What the listener at the other end would get of his own voice: power at the first microphone
/// against power sent, over blocks in which only the far end talks. What is sent comes `delay`
/// blocks after the microphone. Audio thread.
class EchoMeter {
 public:
  /// `delay_blocks`: 0..7, the chain's latency rounded up.
  explicit EchoMeter(int delay_blocks = 1) : delay_blocks_(delay_blocks) {}
  void process(std::span<const float> mic, std::span<const float> sent, bool far_only) noexcept;
  void reset() noexcept;
  float erle_db() const noexcept;
  float residual_db() const noexcept;

 private:
  static constexpr int kHistory = 8;
  int delay_blocks_;
  float mic_power_[kHistory] = {};
  bool far_only_[kHistory] = {};
  int position_ = 0;
  float mic_average_ = 0.0F;
  float sent_average_ = 0.0F;
};

/// The quietest that a signal was lately: the room's noise. Audio thread.
class FloorMeter {
 public:
  void process(std::span<const float> x) noexcept;
  void reset() noexcept { *this = FloorMeter(); }
  /// 0 while unknown.
  float power() const noexcept;

 private:
  float smoothed_ = 0.0F;
  float least_ = 0.0F;       // of this stretch
  float last_least_ = 0.0F;  // of the one before
  int blocks_ = 0;
};

/// Power of a block, and its level in dBFS down to kSilenceDb.
float mean_square(std::span<const float> x) noexcept;
float power_to_db(float power) noexcept;

}  // namespace conclave::engine
