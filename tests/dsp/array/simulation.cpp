// SPDX-License-Identifier: Apache-2.0
#include "tests/dsp/array/simulation.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>

#include "dsp/transform/real_fft.h"

namespace conclave::dsp::simulation {
namespace {

constexpr double kPi = std::numbers::pi;

/// Adds a band-limited impulse at a fractional sample.
void add_impulse(Signal& h, double at, double gain) {
  constexpr int kReach = 8;
  const int first = static_cast<int>(std::floor(at)) - kReach + 1;
  for (int i = first; i < first + 2 * kReach; ++i) {
    if (i < 0 || i >= static_cast<int>(h.size())) continue;
    const double t = i - at;
    const double window = 0.5 + 0.5 * std::cos(kPi * t / kReach);
    const double sinc = std::abs(t) < 1e-9 ? 1 : std::sin(kPi * t) / (kPi * t);
    h[static_cast<std::size_t>(i)] += static_cast<float>(gain * window * sinc);
  }
}

}  // namespace

Geometry ring(int count, double radius_m) {
  Geometry g;
  for (int i = 0; i < count; ++i) {
    const double a = 2 * kPi * i / count;
    g.ring.push_back({radius_m * std::cos(a), radius_m * std::sin(a), 0});
  }
  return g;
}

Geometry small_ring_with_centre() {
  Geometry g = ring(7, 0.04);
  g.ring.push_back({0, 0, 0});
  return g;
}

Signal speech(int rate, double seconds, std::uint32_t seed, std::vector<bool>* talking) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal(0, 1);
  const auto samples = static_cast<std::size_t>(seconds * rate);
  Signal out(samples, 0.0F);
  if (talking != nullptr) talking->assign(samples / (static_cast<std::size_t>(rate) / 100), false);
  const double pitch = 100 + 100 * uniform(random);
  double phase = 0;
  std::size_t n = static_cast<std::size_t>(rate) * 4 / 10;
  while (n < samples) {
    const bool pause = uniform(random) < 0.22;
    const bool voiced = uniform(random) < 0.8;
    const auto length = static_cast<std::size_t>(
        rate * (pause ? 0.15 + 0.25 * uniform(random) : 0.12 + 0.16 * uniform(random)));
    const double formants[4] = {300 + 500 * uniform(random), 900 + 1300 * uniform(random),
                                2300 + 700 * uniform(random), 3400 + 600 * uniform(random)};
    double y1[4] = {};
    double y2[4] = {};
    const double glide = pitch * (0.9 + 0.2 * uniform(random));
    Signal syllable;
    for (std::size_t i = 0; i < length && n + i < samples; ++i) {
      double excitation = 0.1 * normal(random);
      if (voiced) {
        phase += glide / rate;
        excitation *= 0.3;
        if (phase >= 1) {
          phase -= 1;
          excitation += 4;
        }
      }
      double sum = 0;
      for (int f = 0; f < 4; ++f) {
        const double r = std::exp(-kPi * (60 + 40 * f) / rate);
        const double y =
            excitation + 2 * r * std::cos(2 * kPi * formants[f] / rate) * y1[f] - r * r * y2[f];
        y2[f] = y1[f];
        y1[f] = y;
        sum += y * (1 - r) * (voiced ? 1.0 / (1 + 0.5 * f) : 0.2 + 0.3 * f);
      }
      const double t = static_cast<double>(i) / static_cast<double>(length);
      syllable.push_back(static_cast<float>(sum * std::sin(kPi * t)));
    }
    double energy = 1e-12;
    for (const float v : syllable) energy += static_cast<double>(v) * v;
    const double gain = 0.05 / std::sqrt(energy / static_cast<double>(syllable.size()));
    if (!pause) {
      for (std::size_t i = 0; i < syllable.size(); ++i) {
        out[n + i] = static_cast<float>(gain * syllable[i]);
        if (talking != nullptr && i > syllable.size() / 10 && i < syllable.size() * 9 / 10) {
          const std::size_t frame = (n + i) / (static_cast<std::size_t>(rate) / 100);
          if (frame < talking->size()) (*talking)[frame] = true;
        }
      }
    }
    n += length;
  }
  return out;
}

Signal hum(int rate, std::size_t samples, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  const auto keep = static_cast<float>(std::exp(-2 * kPi * 500 / rate));
  Signal out(samples);
  float state = 0;
  double energy = 0;
  for (float& v : out) {
    const float white = normal(random);
    state = keep * state + white;
    v = state + 0.1F * white;
    energy += static_cast<double>(v) * v;
  }
  const auto gain = static_cast<float>(1 / std::sqrt(energy / static_cast<double>(samples)));
  for (float& v : out) v *= gain;
  return out;
}

Recording impulse_responses(const Room& room, const Geometry& array, const Position& talker,
                            int rate) {
  const double c = array.speed_of_sound;
  const Position source{room.centre.x + talker.x, room.centre.y + talker.y,
                        room.centre.z + talker.z};
  const double direct = std::hypot(talker.x, talker.y, talker.z);
  const double length_s = (room.rt60_s > 0 ? 0.8 * room.rt60_s : 0.0) + direct / c + 0.005;
  // Eyring's formula for the wall's absorption.
  const double volume = room.x * room.y * room.z;
  const double area = 2 * (room.x * room.y + room.x * room.z + room.y * room.z);
  const double beta =
      room.rt60_s > 0 ? std::exp(-0.5 * 0.161 * volume / (area * room.rt60_s)) : 0.0;
  Recording out(array.ring.size(), Signal(static_cast<std::size_t>(length_s * rate)));
  const auto reach = [&](double size) {
    return room.rt60_s > 0 ? static_cast<int>(std::ceil(length_s * c / (2 * size))) : 0;
  };
  const int nx = reach(room.x);
  const int ny = reach(room.y);
  const int nz = reach(room.z);
  for (int ix = -nx; ix <= nx; ++ix) {
    for (int iy = -ny; iy <= ny; ++iy) {
      for (int iz = -nz; iz <= nz; ++iz) {
        for (int mirror = 0; mirror < 8; ++mirror) {
          const int sx = mirror & 1;
          const int sy = (mirror >> 1) & 1;
          const int sz = mirror >> 2;
          const int hits = std::abs(2 * ix - sx) + std::abs(2 * iy - sy) + std::abs(2 * iz - sz);
          if (room.rt60_s <= 0 && hits > 0) continue;
          const double px = 2 * ix * room.x + (sx != 0 ? -source.x : source.x);
          const double py = 2 * iy * room.y + (sy != 0 ? -source.y : source.y);
          const double pz = 2 * iz * room.z + (sz != 0 ? -source.z : source.z);
          // Walls that turn the sign over: otherwise all images add up at low frequencies.
          const double gain = std::pow(beta, hits) * (hits % 2 == 0 ? 1 : -1);
          if (std::hypot(px - room.centre.x, py - room.centre.y, pz - room.centre.z) >
              length_s * c) {
            continue;
          }
          for (std::size_t m = 0; m < out.size(); ++m) {
            const Position& p = array.ring[m];
            const double d = std::hypot(px - room.centre.x - p.x, py - room.centre.y - p.y,
                                        pz - room.centre.z - p.z);
            add_impulse(out[m], d / c * rate, gain / std::max(d, 0.1));
          }
        }
      }
    }
  }
  return out;
}

Recording convolve(const Signal& signal, const Recording& responses) {
  std::size_t longest = 0;
  for (const Signal& h : responses) longest = std::max(longest, h.size());
  int size = 2;
  while (static_cast<std::size_t>(size) < signal.size() + longest) size *= 2;
  const RealFft fft = RealFft::create(size).value();
  const auto bins = static_cast<std::size_t>(fft.bins());
  Signal padded(static_cast<std::size_t>(size));
  std::copy(signal.begin(), signal.end(), padded.begin());
  std::vector<std::complex<float>> s(bins);
  std::vector<std::complex<float>> h(bins);
  fft.forward(padded, s);
  Recording out;
  for (const Signal& response : responses) {
    std::fill(padded.begin(), padded.end(), 0.0F);
    std::copy(response.begin(), response.end(), padded.begin());
    fft.forward(padded, h);
    for (std::size_t k = 0; k < bins; ++k) h[k] *= s[k];
    fft.inverse(h, padded);
    out.emplace_back(padded.begin(), padded.begin() + static_cast<std::ptrdiff_t>(signal.size()));
  }
  return out;
}

Recording diffuse(const Geometry& array, int rate, std::size_t samples, std::uint32_t seed) {
  constexpr int kWaves = 20;
  Recording out(array.ring.size(), Signal(samples));
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int w = 0; w < kWaves; ++w) {
    const double height = -1 + 2 * (w + uniform(random)) / kWaves;
    const Position from = at(360 * uniform(random), std::asin(height) * 180 / kPi, 1);
    Recording responses(array.ring.size(), Signal(64));
    for (std::size_t m = 0; m < array.ring.size(); ++m) {
      const Position& p = array.ring[m];
      const double lead = (p.x * from.x + p.y * from.y + p.z * from.z) / array.speed_of_sound;
      add_impulse(responses[m], 31 - lead * rate, 1);
    }
    add(out, convolve(hum(rate, samples, seed + 100 + static_cast<std::uint32_t>(w)), responses),
        1 / std::sqrt(static_cast<double>(kWaves)));
  }
  return out;
}

double power(const Recording& r) {
  double sum = 0;
  for (const Signal& s : r) {
    for (const float v : s) sum += static_cast<double>(v) * v;
  }
  return sum / static_cast<double>(r.size() * r.front().size());
}

void add(Recording& a, const Recording& b, double gain) {
  for (std::size_t m = 0; m < a.size(); ++m) {
    for (std::size_t i = 0; i < a[m].size(); ++i) a[m][i] += static_cast<float>(gain) * b[m][i];
  }
}

Position at(double azimuth_deg, double elevation_deg, double distance_m) {
  const Position u = direction_vector(azimuth_deg, elevation_deg);
  return {u.x * distance_m, u.y * distance_m, u.z * distance_m};
}

double turn(double a_deg, double b_deg) { return std::remainder(a_deg - b_deg, 360.0); }

}  // namespace conclave::dsp::simulation
