// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/level_meter.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace conclave::dsp {
namespace {

constexpr float kFullScale = 0.9999F;

float to_db(double power) {
  return power < 1e-12 ? -120.0F : static_cast<float>(10 * std::log10(power));
}

}  // namespace

Result<LevelMeter> LevelMeter::create(const LevelMeterConfig& config) {
  if (config.channels < 1 || config.channels > kMaxMeterChannels) {
    return Error{"level meter: 1 to 16 channels are possible"};
  }
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || !(config.rms_ms >= 1) ||
      !(config.rms_ms <= 10000) || !(config.hold_ms >= 0) || !(config.hold_ms <= 60000)) {
    return Error{"level meter: rate 8..192 kHz, integration 1..10000 ms, hold 0..60000 ms"};
  }
  return LevelMeter(config);
}

void LevelMeter::reset() noexcept {
  channels_.fill({});
  levels_.fill({});
  invalid_ = 0;
}

void LevelMeter::process(ConstFrameView in) noexcept {
  assert(in.channels() <= config_.channels);
  const int frames = in.frames();
  if (frames == 0) return;
  const double seconds = static_cast<double>(frames) / config_.sample_rate;
  const double keep = std::exp(-seconds * 1000 / static_cast<double>(config_.rms_ms));
  const auto fall = static_cast<float>(std::pow(10.0, -seconds));  // 20 dB/s
  for (int c = 0; c < in.channels(); ++c) {
    auto& state = channels_[static_cast<std::size_t>(c)];
    auto& level = levels_[static_cast<std::size_t>(c)];
    const auto x = in[c];
    float sum = 0;
    float peak = 0;
    for (const float v : x) {
      sum += v * v;
      peak = std::max(peak, std::abs(v));
    }
    if (!std::isfinite(sum)) {  // also huge finite samples; the slow way tells them apart
      sum = 0;
      peak = 0;
      for (const float v : x) {
        if (!std::isfinite(v)) {
          ++invalid_;
          continue;
        }
        const float bounded = std::clamp(v, -1e6F, 1e6F);
        sum += bounded * bounded;
        peak = std::max(peak, std::abs(bounded));
      }
    }
    if (peak >= kFullScale) {
      for (const float v : x) {
        state.run = std::abs(v) >= kFullScale ? state.run + 1 : 0;
        if (state.run == 2) ++level.clips;
      }
    } else {
      state.run = 0;
    }
    const double mean = static_cast<double>(sum) / frames;
    state.power = keep * state.power + (1 - keep) * mean;
    if (peak >= state.peak) {
      state.peak = peak;
      state.hold_left =
          static_cast<int>(config_.hold_ms * 1e-3F * static_cast<float>(config_.sample_rate));
    } else if (state.hold_left > 0) {
      state.hold_left -= frames;
    } else {
      state.peak = std::max(peak, state.peak * fall);
    }
    level.rms_dbfs = to_db(state.power);
    level.peak_dbfs = to_db(static_cast<double>(state.peak) * static_cast<double>(state.peak));
  }
}

}  // namespace conclave::dsp
