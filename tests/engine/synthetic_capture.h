// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "base/frame_view.h"
#include "dsp/array/array_geometry.h"

namespace conclave::engine::test {

/// A ring of `mics` microphones in the plane.
inline dsp::Geometry ring(int mics, double radius = 0.05, int satellites = 0) {
  dsp::Geometry geometry;
  for (int m = 0; m < mics; ++m) {
    const double a = 2.0 * M_PI * m / mics;
    geometry.ring.push_back(mics == 1 ? dsp::Position{}
                                      : dsp::Position{radius * std::cos(a), radius * std::sin(a)});
  }
  for (int s = 0; s < satellites; ++s) geometry.satellites.emplace_back(std::nullopt);
  return geometry;
}

inline std::vector<float> white(std::size_t count, float rms, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, rms);
  std::vector<float> x(count);
  for (float& v : x) v = normal(generator);
  return x;
}

/// Noise coloured and switched like speech: syllables of a few hundred milliseconds with pauses.
inline std::vector<float> babble(std::size_t count, int rate, float rms, std::uint32_t seed) {
  auto x = white(count, 1.0F, seed);
  std::mt19937 generator(seed + 1);
  std::uniform_real_distribution<float> uniform(0.0F, 1.0F);
  float low = 0.0F, high = 0.0F, level = 0.0F, target = 0.0F;
  const float pole =
      std::exp(-2.0F * static_cast<float>(M_PI) * 1500.0F / static_cast<float>(rate));
  const float block = std::exp(-1.0F / (0.015F * static_cast<float>(rate)));
  double energy = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % (static_cast<std::size_t>(rate) / 6) == 0) {
      target = uniform(generator) < 0.3F ? 0.0F : 0.3F + 0.7F * uniform(generator);
    }
    level = block * level + (1.0F - block) * target;
    low = pole * low + (1.0F - pole) * x[i];
    high = 0.97F * high + 0.03F * low;
    x[i] = (low - high) * level;
    energy += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  const float gain = rms / static_cast<float>(std::sqrt(energy / static_cast<double>(count)));
  for (float& v : x) v *= gain;
  return x;
}

/// Adds `source` delayed by a fraction of samples (windowed sinc), times `gain`.
inline void add_delayed(const std::vector<float>& source, double delay, float gain,
                        std::span<float> to) {
  constexpr int kHalf = 16;
  const int whole = static_cast<int>(std::floor(delay));
  const double fraction = delay - whole;
  std::vector<float> taps;
  for (int k = -kHalf + 1; k <= kHalf; ++k) {
    const double t = k - fraction;
    const double sinc = std::abs(t) < 1e-12 ? 1.0 : std::sin(M_PI * t) / (M_PI * t);
    const double window = 0.5 + 0.5 * std::cos(M_PI * t / (kHalf + 1));
    taps.push_back(static_cast<float>(sinc * window));
  }
  const auto n = static_cast<std::ptrdiff_t>(to.size());
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    float sum = 0.0F;
    for (int k = -kHalf + 1; k <= kHalf; ++k) {
      const std::ptrdiff_t at = i - whole - k;
      if (at >= 0 && at < static_cast<std::ptrdiff_t>(source.size())) {
        sum += taps[static_cast<std::size_t>(k + kHalf - 1)] * source[static_cast<std::size_t>(at)];
      }
    }
    to[static_cast<std::size_t>(i)] += gain * sum;
  }
}

/// A talker far away at an azimuth, in the ring's plane.
inline void add_talker(const dsp::Geometry& geometry, const std::vector<float>& source,
                       double azimuth_deg, int rate, FrameView capture) {
  const auto look = dsp::direction_vector(azimuth_deg, 0.0);
  for (std::size_t m = 0; m < geometry.ring.size(); ++m) {
    const auto& p = geometry.ring[m];
    const double lead = (p.x * look.x + p.y * look.y) / geometry.speed_of_sound * rate;
    add_delayed(source, 20.0 - lead, 1.0F, capture[static_cast<int>(m)]);
  }
}

/// The loudspeaker's echo: a direct path after `delay` samples and a decaying tail, another one for
/// each microphone.
inline void add_echo(const std::vector<float>& far, int delay, float gain, int rate,
                     FrameView capture) {
  for (int c = 0; c < capture.channels(); ++c) {
    std::mt19937 generator(100U + static_cast<std::uint32_t>(c));
    std::normal_distribution<float> normal(0.0F, 1.0F);
    std::uniform_int_distribution<int> step(3, rate / 200);
    int at = delay + c % 3;
    float strength = gain;
    while (at < delay + rate / 12 && at < capture.frames()) {
      const auto row = capture[c];
      for (std::size_t i = static_cast<std::size_t>(at); i < row.size(); ++i) {
        row[i] += strength * far[i - static_cast<std::size_t>(at)];
      }
      at += step(generator);
      const float decay =
          std::exp(-static_cast<float>(at - delay) / (0.02F * static_cast<float>(rate)));
      strength = gain * 0.4F * normal(generator) * decay;
    }
  }
}

inline void add_noise(float rms, std::uint32_t seed, FrameView capture) {
  for (int c = 0; c < capture.channels(); ++c) {
    const auto noise = white(static_cast<std::size_t>(capture.frames()), rms,
                             seed + static_cast<std::uint32_t>(c));
    for (std::size_t i = 0; i < noise.size(); ++i) capture[c][i] += noise[i];
  }
}

inline double power(std::span<const float> x) {
  double sum = 0.0;
  for (const float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return x.empty() ? 0.0 : sum / static_cast<double>(x.size());
}
inline double power_db(std::span<const float> x) { return 10.0 * std::log10(power(x) + 1e-20); }

}  // namespace conclave::engine::test
