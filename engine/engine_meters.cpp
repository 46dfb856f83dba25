// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_meters.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine {
namespace {
constexpr float kSmoothing = 0.01F;  // per 10 ms block: 1 s
constexpr float kFloorSmoothing = 0.05F;
constexpr int kFloorBlocks = 300;
constexpr float kNothing = 1e-12F;
}  // namespace

float mean_square(std::span<const float> x) noexcept {
  float sum = 0.0F;
  for (const float sample : x) sum += sample * sample;
  return x.empty() ? 0.0F : sum / static_cast<float>(x.size());
}

float power_to_db(float power) noexcept {
  return power > 1e-12F ? 10.0F * std::log10(power) : kSilenceDb;
}

void EchoMeter::process(std::span<const float> mic, std::span<const float> sent,
                        bool far_only) noexcept {
  mic_power_[position_] = mean_square(mic);
  far_only_[position_] = far_only;
  const int then = (position_ + kHistory - delay_blocks_) % kHistory;
  position_ = (position_ + 1) % kHistory;
  if (!far_only || !far_only_[then]) return;
  mic_average_ += kSmoothing * (mic_power_[then] - mic_average_);
  sent_average_ += kSmoothing * (mean_square(sent) - sent_average_);
}

void EchoMeter::reset() noexcept { *this = EchoMeter(delay_blocks_); }

float EchoMeter::erle_db() const noexcept {
  if (mic_average_ <= 0.0F) return 0.0F;
  return std::clamp(power_to_db(mic_average_) - power_to_db(sent_average_), -20.0F, 90.0F);
}

float EchoMeter::residual_db() const noexcept { return power_to_db(sent_average_); }

void FloorMeter::process(std::span<const float> x) noexcept {
  const float power = mean_square(x);
  if (!(power > kNothing)) return;  // a stream that has not begun, or not a number
  smoothed_ += (smoothed_ == 0.0F ? 1.0F : kFloorSmoothing) * (power - smoothed_);
  least_ = least_ == 0.0F ? smoothed_ : std::min(least_, smoothed_);
  if (++blocks_ % kFloorBlocks != 0) return;
  last_least_ = least_;
  least_ = smoothed_;
}

float FloorMeter::power() const noexcept {
  if (least_ == 0.0F || last_least_ == 0.0F) return least_;
  return std::min(least_, last_least_);
}

}  // namespace conclave::engine
