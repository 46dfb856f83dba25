// SPDX-License-Identifier: Apache-2.0
#include "bench/room/noise.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <span>
#include <vector>

#include "bench/room/random.h"
#include "dsp/transform/real_fft.h"

namespace conclave::bench::room {
namespace {

using Complex = std::complex<float>;
constexpr int kWaves = 48;

/// A fan's spectrum: flat below 150 Hz, falling by 5 dB an octave, with the blades' hum.
double colour(double hz) {
  if (hz < 30) return 0;
  double level = std::pow(std::max(hz, 150.0) / 150.0, -0.83);
  for (const double hum : {117.0, 234.0, 351.0}) {
    const double off = (hz - hum) / 1.5;
    level += 2.0 * (117.0 / hum) * std::exp(-off * off);
  }
  return level;
}

/// Random phases under the fan's spectrum.
void draw(std::span<Complex> spectrum, double hz_per_bin, Random& random) {
  for (std::size_t k = 0; k < spectrum.size(); ++k) {
    const double angle = 2 * std::numbers::pi * random.uniform();
    const double level = colour(static_cast<double>(k) * hz_per_bin);
    spectrum[k] = {static_cast<float>(level * std::cos(angle)),
                   static_cast<float>(level * std::sin(angle))};
  }
  spectrum.front() = 0;
  spectrum.back() = 0;
}

}  // namespace

Result<FrameBuffer> make_fan(const Scene& scene, const Shoebox& shoebox) {
  const int length = scene.sample_rate == 48000 ? 1 << 19 : 1 << 17;
  CONCLAVE_TRY(const auto fft, dsp::RealFft::create(length));
  std::vector<Point> microphones = scene.ring;
  for (const Satellite& s : scene.satellites) microphones.push_back(s.position);
  const int count = static_cast<int>(microphones.size());
  FrameBuffer loop(count, length);
  SpectrumBuffer source(1, fft.bins());
  const double hz_per_bin = static_cast<double>(scene.sample_rate) / length;
  Random random(scene.seed ^ 0xfa4);
  if (scene.fan_at) {
    draw(source[0], hz_per_bin, random);
    const auto responses = shoebox.responses(*scene.fan_at, microphones, 0, 1.0);
    FrameBuffer time(1, length);
    SpectrumBuffer response(1, fft.bins());
    for (int m = 0; m < count; ++m) {
      const auto& taps = responses[static_cast<std::size_t>(m)];
      time.clear();
      std::copy_n(taps.begin(),
                  std::min<std::size_t>(taps.size(), static_cast<std::size_t>(length)),
                  time.data());
      fft.forward(time[0], response[0]);
      for (std::size_t k = 0; k < response[0].size(); ++k) response[0][k] *= source[0][k];
      fft.inverse_unscaled(response[0], loop[m]);
    }
  } else {
    SpectrumBuffer sums(count, fft.bins());
    for (int wave = 0; wave < kWaves; ++wave) {
      draw(source[0], hz_per_bin, random);
      // Directions spread evenly over the sphere on a spiral.
      const double z = 1 - (2.0 * wave + 1) / kWaves;
      const double angle = wave * std::numbers::pi * (3 - std::sqrt(5.0));
      const double flat = std::sqrt(1 - z * z);
      const Point from{flat * std::cos(angle), flat * std::sin(angle), z};
      for (int m = 0; m < count; ++m) {
        const Point p = microphones[static_cast<std::size_t>(m)];
        const double lead = (p.x * from.x + p.y * from.y + p.z * from.z) / scene.speed_of_sound;
        const double step = 2 * std::numbers::pi * hz_per_bin * lead;
        const std::complex<double> turn(std::cos(step), std::sin(step));
        std::complex<double> phase = 1;
        const auto sum = sums[m];
        for (std::size_t k = 0; k < sum.size(); ++k) {
          const Complex p32(static_cast<float>(phase.real()), static_cast<float>(phase.imag()));
          sum[k] += source[0][k] * p32;
          phase *= turn;
        }
      }
    }
    for (int m = 0; m < count; ++m) fft.inverse_unscaled(sums[m], loop[m]);
  }
  double energy = 0;
  for (int m = 0; m < static_cast<int>(scene.ring.size()); ++m) {
    for (const float x : loop[m]) energy += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto scale = static_cast<float>(
      1 / std::sqrt(energy / (static_cast<double>(scene.ring.size()) * length) + 1e-30));
  for (int m = 0; m < count; ++m) {
    for (float& x : loop[m]) x *= scale;
  }
  return loop;
}

}  // namespace conclave::bench::room
