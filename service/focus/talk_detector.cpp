// SPDX-License-Identifier: Apache-2.0
#include "service/focus/talk_detector.h"

#include <opus/opus.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace conclave::service {
namespace {

constexpr int kRate = 8000;
constexpr double kLeastDb = -52;
constexpr double kOverFloorDb = 9;
constexpr double kBeginMs = 40;
constexpr double kEndMs = 700;
constexpr double kFloorRiseDbPerMs = 0.003;  // 3 dB a second: a pause in speech resets it

}  // namespace

TalkDetector::TalkDetector()
    : decoder_(opus_decoder_create(kRate, 1, nullptr), &opus_decoder_destroy) {}
TalkDetector::~TalkDetector() = default;

bool TalkDetector::packet(std::span<const std::uint8_t> payload) noexcept {
  std::array<float, kRate * 120 / 1000> sound{};
  const int samples =
      opus_decode_float(decoder_.get(), payload.data(), static_cast<opus_int32>(payload.size()),
                        sound.data(), static_cast<int>(sound.size()), 0);
  if (samples <= 0) return false;
  double energy = 0;
  for (int i = 0; i < samples; ++i) {
    const double s = sound[static_cast<std::size_t>(i)];
    energy += s * s;
  }
  const double level = std::max(-90.0, 10 * std::log10(energy / samples + 1e-12));
  const double ms = samples * 1000.0 / kRate;
  floor_db_ = std::min(level, floor_db_ + kFloorRiseDbPerMs * ms);
  floor_db_ = std::clamp(floor_db_, -90.0, -30.0);
  return advance(level > kLeastDb && level > floor_db_ + kOverFloorDb, ms);
}

bool TalkDetector::quiet(double ms) noexcept { return advance(false, ms); }

bool TalkDetector::advance(bool loud, double ms) noexcept {
  if (loud) {
    loud_ms_ += ms;
    quiet_ms_ = 0;
  } else {
    quiet_ms_ += ms;
    loud_ms_ = std::max(0.0, loud_ms_ - ms);
  }
  const bool before = talking_;
  if (loud_ms_ >= kBeginMs) talking_ = true;
  if (quiet_ms_ >= kEndMs) {
    talking_ = false;
    loud_ms_ = 0;
  }
  loud_ms_ = std::min(loud_ms_, kBeginMs);
  return talking_ != before;
}

}  // namespace conclave::service
