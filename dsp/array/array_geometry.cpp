// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/array_geometry.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>

#include "dsp/array/superdirective.h"

namespace conclave::dsp {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

double distance(const Position& a, const Position& b) {
  return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z);
}

bool sane(const Position& p, double reach) {
  return std::isfinite(p.x) && std::isfinite(p.y) && std::isfinite(p.z) &&
         std::hypot(p.x, p.y, p.z) <= reach;
}

double look_gain(std::span<const std::complex<double>> weights,
                 const std::vector<Position>& microphones, const Position& look,
                 double frequency_hz, double speed_of_sound) {
  std::vector<std::complex<double>> a(microphones.size());
  far_field_steering(microphones, look, frequency_hz, speed_of_sound, a);
  std::complex<double> sum = 0;
  for (std::size_t m = 0; m < a.size(); ++m) sum += std::conj(weights[m]) * a[m];
  return std::norm(sum);
}

}  // namespace

Status check_geometry(const Geometry& geometry) {
  const std::size_t count = geometry.ring.size();
  if (count < 1 || count > static_cast<std::size_t>(kMaxRingMicrophones)) {
    return Error{"the array has " + std::to_string(count) + " microphones; it takes 1 to " +
                 std::to_string(kMaxRingMicrophones)};
  }
  if (geometry.satellites.size() > static_cast<std::size_t>(kMaxSatellites)) {
    return Error{"the array has " + std::to_string(geometry.satellites.size()) +
                 " satellites; it takes up to " + std::to_string(kMaxSatellites)};
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!sane(geometry.ring[i], 2.0)) {
      return Error{"microphone " + std::to_string(i) +
                   " is not within 2 m of the array's middle; positions are in metres"};
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (distance(geometry.ring[i], geometry.ring[k]) < 1e-3) {
        return Error{"microphones " + std::to_string(k) + " and " + std::to_string(i) +
                     " are at one place"};
      }
    }
  }
  for (std::size_t i = 0; i < geometry.satellites.size(); ++i) {
    if (geometry.satellites[i] && !sane(*geometry.satellites[i], 50.0)) {
      return Error{"satellite " + std::to_string(i) +
                   " is not within 50 m of the array's middle; positions are in metres"};
    }
  }
  if (!(geometry.speed_of_sound >= 300 && geometry.speed_of_sound <= 400)) {
    return Error{"the speed of sound must be 300 to 400 m/s"};
  }
  return {};
}

Position direction_vector(double azimuth_deg, double elevation_deg) {
  const double azimuth = azimuth_deg * std::numbers::pi / 180;
  const double elevation = elevation_deg * std::numbers::pi / 180;
  return {std::cos(elevation) * std::cos(azimuth), std::cos(elevation) * std::sin(azimuth),
          std::sin(elevation)};
}

void far_field_steering(const std::vector<Position>& microphones, const Position& look,
                        double frequency_hz, double speed_of_sound,
                        std::span<std::complex<double>> out) {
  assert(out.size() == microphones.size());
  for (std::size_t m = 0; m < out.size(); ++m) {
    const Position& p = microphones[m];
    const double lead = (p.x * look.x + p.y * look.y + p.z * look.z) / speed_of_sound;
    out[m] = std::polar(1.0, kTwoPi * frequency_hz * lead);
  }
}

void near_field_steering(const std::vector<Position>& microphones, const Position& source,
                         double frequency_hz, double speed_of_sound,
                         std::span<std::complex<double>> out) {
  assert(out.size() == microphones.size());
  const double origin = std::max(distance(source, {}), 0.01);
  for (std::size_t m = 0; m < out.size(); ++m) {
    const double r = std::max(distance(source, microphones[m]), 0.01);
    out[m] = std::polar(origin / r, kTwoPi * frequency_hz * (origin - r) / speed_of_sound);
  }
}

void diffuse_coherence(const std::vector<Position>& microphones, double frequency_hz,
                       double speed_of_sound, std::span<double> out) {
  const std::size_t count = microphones.size();
  assert(out.size() == count * count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < count; ++k) {
      const double x =
          kTwoPi * frequency_hz * distance(microphones[i], microphones[k]) / speed_of_sound;
      out[i * count + k] = x < 1e-9 ? 1.0 : std::sin(x) / x;
    }
  }
}

double directivity_index_db(std::span<const std::complex<double>> weights,
                            const std::vector<Position>& microphones, const Position& look,
                            double frequency_hz, double speed_of_sound) {
  const std::size_t count = microphones.size();
  std::vector<double> field(count * count);
  diffuse_coherence(microphones, frequency_hz, speed_of_sound, field);
  double noise = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < count; ++k) {
      noise += field[i * count + k] * (std::conj(weights[i]) * weights[k]).real();
    }
  }
  const double signal = look_gain(weights, microphones, look, frequency_hz, speed_of_sound);
  return 10 * std::log10(signal / std::max(noise, 1e-30));
}

double white_noise_gain_db(std::span<const std::complex<double>> weights,
                           const std::vector<Position>& microphones, const Position& look,
                           double frequency_hz, double speed_of_sound) {
  double noise = 0;
  for (const auto& w : weights) noise += std::norm(w);
  const double signal = look_gain(weights, microphones, look, frequency_hz, speed_of_sound);
  return 10 * std::log10(signal / std::max(noise, 1e-30));
}

void superdirective_weights(const std::vector<Position>& microphones, const Position& look,
                            double frequency_hz, double speed_of_sound, double min_wng_db,
                            std::span<std::complex<double>> out) {
  assert(out.size() == microphones.size());
  SuperdirectiveDesigner(microphones, frequency_hz, speed_of_sound).weights(look, min_wng_db, out);
}

}  // namespace conclave::dsp
