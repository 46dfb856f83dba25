// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

inline constexpr int kMaxMeterChannels = 16;

struct LevelMeterConfig {
  int sample_rate = 48000;
  int channels = 1;      ///< 1..kMaxMeterChannels
  float rms_ms = 50;     ///< time constant
  float hold_ms = 1000;  ///< a peak stays that long, then falls by 20 dB/s
};

struct ChannelLevel {
  float rms_dbfs = -120;    ///< full-scale square wave = 0, full-scale sine = -3
  float peak_dbfs = -120;   ///< sample peak with hold
  std::uint64_t clips = 0;  ///< runs of two or more samples at full scale (>= 0.9999) since reset
};

/// Levels of up to 16 channels. Also counts what is not a number: those samples count as 0.
/// Any thread, one at a time; process() does not allocate.
class LevelMeter {
 public:
  static Result<LevelMeter> create(const LevelMeterConfig& config);

  void reset() noexcept;
  void process(ConstFrameView in) noexcept;
  ChannelLevel level(int channel) const noexcept {
    return levels_[static_cast<std::size_t>(channel)];
  }
  /// NaN or Inf samples seen since reset, all channels.
  std::uint64_t invalid_samples() const noexcept { return invalid_; }

 private:
  struct Channel {
    double power = 0;
    float peak = 0;
    int hold_left = 0;
    int run = 0;
  };
  explicit LevelMeter(const LevelMeterConfig& config) : config_(config) {}

  LevelMeterConfig config_;
  std::array<Channel, kMaxMeterChannels> channels_{};
  std::array<ChannelLevel, kMaxMeterChannels> levels_{};
  std::uint64_t invalid_ = 0;
};

}  // namespace conclave::dsp
