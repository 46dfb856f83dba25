// SPDX-License-Identifier: Apache-2.0
#include "bench/room/sinc.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace conclave::bench::room {

SincTable::SincTable(int half, int phases, double cutoff, double beta)
    : half_(half),
      phases_(phases),
      table_(static_cast<std::size_t>(phases + 1) * static_cast<std::size_t>(2 * half)) {
  const double norm = std::cyl_bessel_i(0.0, beta);
  for (int phase = 0; phase <= phases; ++phase) {
    float* taps = &table_[static_cast<std::size_t>(phase) * static_cast<std::size_t>(2 * half)];
    double sum = 0;
    for (int i = 0; i < 2 * half; ++i) {
      const double x = i + 1 - half - static_cast<double>(phase) / phases;
      const double inside = std::max(0.0, 1 - x * x / (half * half));
      const double angle = std::numbers::pi * cutoff * x;
      const double sinc = std::abs(angle) < 1e-9 ? 1.0 : std::sin(angle) / angle;
      const double value = cutoff * sinc * std::cyl_bessel_i(0.0, beta * std::sqrt(inside)) / norm;
      taps[i] = static_cast<float>(value);
      sum += value;
    }
    for (int i = 0; i < 2 * half; ++i) taps[i] = static_cast<float>(taps[i] / sum);
  }
}

std::span<const float> SincTable::nearest(double fraction) const {
  const auto phase = static_cast<std::size_t>(std::lround(fraction * phases_));
  const auto count = static_cast<std::size_t>(taps());
  return {&table_[phase * count], count};
}

void SincTable::interpolated(double fraction, std::span<float> out) const {
  const double at = fraction * phases_;
  const auto phase = static_cast<std::size_t>(std::min(at, phases_ - 1.0));
  const auto weight = static_cast<float>(at - static_cast<double>(phase));
  const auto count = static_cast<std::size_t>(taps());
  const float* a = &table_[phase * count];
  const float* b = a + count;
  for (std::size_t i = 0; i < count; ++i) out[i] = a[i] + weight * (b[i] - a[i]);
}

std::vector<float> resample(std::span<const float> in, int from_rate, int to_rate) {
  if (from_rate == to_rate) return {in.begin(), in.end()};
  const int divisor = std::gcd(from_rate, to_rate);
  const int up = to_rate / divisor;
  const int down = from_rate / divisor;
  const double ratio = static_cast<double>(up) / down;
  const double cutoff = 0.96 * std::min(1.0, ratio);
  const int half = static_cast<int>(std::ceil(24 / std::min(1.0, ratio)));
  const SincTable table(half, up, cutoff);  // phases of the exact fraction: no interpolation
  const auto length = static_cast<std::int64_t>(in.size());
  std::vector<float> out(static_cast<std::size_t>(length * up / down));
  for (std::size_t n = 0; n < out.size(); ++n) {
    const std::int64_t at = static_cast<std::int64_t>(n) * down;
    const std::int64_t base = at / up;
    const auto taps = table.nearest(static_cast<double>(at % up) / up);
    const std::int64_t first = base + 1 - half;
    const auto low = static_cast<int>(std::max<std::int64_t>(0, -first));
    const auto high = static_cast<int>(std::min<std::int64_t>(2 * half, length - first));
    float sum = 0;
    for (int i = low; i < high; ++i)
      sum += taps[static_cast<std::size_t>(i)] * in[static_cast<std::size_t>(first + i)];
    out[n] = sum;
  }
  return out;
}

ClockSkew::ClockSkew(double ppm, int max_block)
    : table_(kHalf, 512, 0.96),
      history_(static_cast<std::size_t>(2 * kHalf + max_block)),
      taps_(static_cast<std::size_t>(2 * kHalf)),
      step_(1.0 / (1.0 + ppm * 1e-6)) {}

int ClockSkew::process(std::span<const float> in, std::span<float> out) noexcept {
  constexpr auto kTaps = static_cast<std::size_t>(2 * kHalf);
  std::copy(in.begin(), in.end(), history_.begin() + static_cast<std::ptrdiff_t>(kTaps));
  const auto frames = static_cast<double>(in.size());
  int count = 0;
  while (next_ < frames && count < static_cast<int>(out.size())) {
    const double base = std::floor(next_);
    table_.interpolated(next_ - base, taps_);
    // Tap i belongs to sample base + 1 - half + i; history starts 2 half before the block, and
    // next_ is counted half before it: sample 0 of the taps is history[base + 1].
    const float* samples = &history_[static_cast<std::size_t>(base) + 1];
    float sum = 0;
    for (std::size_t i = 0; i < kTaps; ++i) sum += taps_[i] * samples[i];
    out[static_cast<std::size_t>(count++)] = sum;
    next_ += step_;
  }
  next_ -= frames;
  std::copy(history_.begin() + static_cast<std::ptrdiff_t>(in.size()),
            history_.begin() + static_cast<std::ptrdiff_t>(in.size() + kTaps), history_.begin());
  return count;
}

}  // namespace conclave::bench::room
