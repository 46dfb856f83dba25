// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace conclave::bench::room {

/// Small seeded generator (SplitMix64): the same sequence on every machine, which the standard
/// library's distributions do not promise.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// [0, 1).
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double gaussian() {
    const double u = 1.0 - uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * uniform());
  }
  /// Triangular, RMS 1, two per draw: cheap enough for each sample of each microphone.
  float noise() {
    const std::uint64_t b = bits();
    const auto low = static_cast<float>(static_cast<std::uint32_t>(b));
    const auto high = static_cast<float>(static_cast<std::uint32_t>(b >> 32));
    return (low - high) * (2.4494897F * 0x1p-32F);
  }

 private:
  std::uint64_t state_;
};

}  // namespace conclave::bench::room
