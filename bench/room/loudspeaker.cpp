// SPDX-License-Identifier: Apache-2.0
#include "bench/room/loudspeaker.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace conclave::bench::room {
namespace {

constexpr double kLowest = 140.0;     // Hz
constexpr double kExcursionTo = 250;  // Hz: below, the cone's way is what counts
constexpr double kRattleFrom = 0.12;  // excursion at which something touches
constexpr double kAsymmetry = 0.05;

}  // namespace

Loudspeaker::Loudspeaker(int sample_rate, double drive, double rub, std::uint64_t seed)
    : drive_(drive), rub_(rub), random_(seed) {
  const double w = std::tan(std::numbers::pi * kLowest / sample_rate);
  const double norm = 1 / (1 + std::numbers::sqrt2 * w + w * w);
  b0_ = norm;
  b1_ = -2 * norm;
  b2_ = norm;
  a1_ = 2 * (w * w - 1) * norm;
  a2_ = (1 - std::numbers::sqrt2 * w + w * w) * norm;
  excursion_pole_ = 1 - std::exp(-2 * std::numbers::pi * kExcursionTo / sample_rate);
}

void Loudspeaker::process(std::span<const float> in, std::span<float> out) noexcept {
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double x = static_cast<double>(in[i]);
    double y = b0_ * x + b1_ * x1_ + b2_ * x2_ - a1_ * y1_ - a2_ * y2_;
    if (std::abs(y) < 1e-15) y = 0;
    x2_ = x1_;
    x1_ = x;
    y2_ = y1_;
    y1_ = y;
    double sound = y;
    if (drive_ > 0) {
      const double bent = y + kAsymmetry * drive_ * y * y;
      sound = std::tanh(drive_ * bent) / drive_;
    }
    excursion_ += excursion_pole_ * (y - excursion_);
    if (rub_ > 0) {
      const double over = std::max(0.0, std::abs(excursion_) - kRattleFrom);
      rattle_ = 0.6 * rattle_ + 0.4 * static_cast<double>(random_.noise());
      sound += rub_ * over * rattle_;
    }
    out[i] = static_cast<float>(sound);
  }
}

}  // namespace conclave::bench::room
