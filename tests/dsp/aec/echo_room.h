// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <vector>

#include "dsp/transform/real_fft.h"

/// Signals and rooms for tests of echo control, all from seeds.
namespace conclave::dsp::echo_room {

using Signal = std::vector<float>;

inline double power(const Signal& x, std::size_t from = 0, std::size_t to = ~std::size_t{0}) {
  to = std::min(to, x.size());
  double sum = 0;
  for (std::size_t i = from; i < to; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum / static_cast<double>(std::max<std::size_t>(1, to - from));
}
inline double db(double ratio) { return 10 * std::log10(ratio + 1e-20); }

inline void scale_to(Signal& x, double rms) {
  const double now = std::sqrt(power(x)) + 1e-20;
  for (float& v : x) v = static_cast<float>(v * rms / now);
}

inline Signal white(std::size_t count, double rms, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Signal x(count);
  for (float& v : x) v = normal(random);
  scale_to(x, rms);
  return x;
}

/// Something like speech: syllables of a gliding pitch through three formants, hissing between
/// them, and pauses.
inline Signal speech(std::size_t count, int rate, double rms, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal;
  Signal x(count, 0.0F);
  const double base = 90 + 120 * uniform(random);
  std::size_t at = 0;
  while (at < count) {
    if (uniform(random) < 0.12) {
      at += static_cast<std::size_t>((0.15 + 0.3 * uniform(random)) * rate);
      continue;
    }
    const auto length = static_cast<std::size_t>((0.10 + 0.18 * uniform(random)) * rate);
    const bool voiced = uniform(random) < 0.75;
    const double formants[3] = {300 + 500 * uniform(random), 900 + 1400 * uniform(random),
                                2400 + 900 * uniform(random)};
    const double glide = 0.8 + 0.4 * uniform(random);
    const double level = 0.4 + uniform(random);
    double phase = 0;
    double state[3][2] = {};
    double last = 0;
    for (std::size_t i = 0; i < length && at + i < count; ++i) {
      const double t = static_cast<double>(i) / static_cast<double>(length);
      const double envelope = std::sin(std::numbers::pi * t);
      double excitation = 0.05 * normal(random);
      if (voiced) {
        phase += base * (1 + (glide - 1) * t) / rate;
        if (phase >= 1) {
          phase -= 1;
          excitation += 8;
        }
      } else {
        const double n = normal(random);
        excitation = 0.8 * (n - last);
        last = n;
      }
      double out = voiced ? 0.0 : 0.5 * excitation;
      for (int f = 0; f < 3; ++f) {
        const double radius = std::exp(-std::numbers::pi * (60 + 40 * f) / rate);
        const double a = 2 * radius * std::cos(2 * std::numbers::pi * formants[f] / rate);
        const double y =
            (1 - radius) * excitation + a * state[f][0] - radius * radius * state[f][1];
        state[f][1] = state[f][0];
        state[f][0] = y;
        out += y * (voiced ? 4.0 / (1 + f) : 0.3);
      }
      x[at + i] += static_cast<float>(level * envelope * out);
    }
    at += static_cast<std::size_t>(0.85 * static_cast<double>(length));
  }
  scale_to(x, rms);
  return x;
}

/// Direct sound and exponentially decaying reverberation; gain is the energy of the response.
inline Signal room_response(int rate, double rt60, double delay_ms, double gain_db, unsigned seed,
                            double length_s = 0) {
  const auto length =
      static_cast<std::size_t>((length_s > 0 ? length_s : rt60) * static_cast<double>(rate));
  const auto delay = static_cast<std::size_t>(delay_ms * 1e-3 * rate);
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Signal h(length, 0.0F);
  for (std::size_t i = delay; i < length; ++i) {
    const double t = static_cast<double>(i - delay) / rate;
    h[i] = static_cast<float>(normal(random) * std::pow(10.0, -3 * t / rt60) * 0.05);
  }
  h[delay] += 1.0F;
  double energy = 0;
  for (const float v : h) energy += static_cast<double>(v) * v;
  const double scale = std::pow(10.0, gain_db / 20) / std::sqrt(energy);
  for (float& v : h) v = static_cast<float>(v * scale);
  return h;
}

inline Signal convolve(const Signal& x, const Signal& h) {
  int size = 2;
  while (static_cast<std::size_t>(size) < x.size() + h.size()) size *= 2;
  const RealFft fft = RealFft::create(size).value();
  const auto bins = static_cast<std::size_t>(fft.bins());
  std::vector<std::complex<float>> a(bins);
  std::vector<std::complex<float>> b(bins);
  Signal time(static_cast<std::size_t>(size), 0.0F);
  std::copy(h.begin(), h.end(), time.begin());
  fft.forward(time, b);
  std::fill(time.begin(), time.end(), 0.0F);
  std::copy(x.begin(), x.end(), time.begin());
  fft.forward(time, a);
  for (std::size_t k = 0; k < bins; ++k) a[k] *= b[k];
  fft.inverse(a, time);
  time.resize(x.size());
  return time;
}

/// A small loudspeaker near its limits.
inline Signal loudspeaker(Signal x, double drive) {
  if (drive <= 0) return x;
  for (float& v : x) v = static_cast<float>(std::tanh(drive * v) / drive);
  return x;
}

inline void add(Signal& to, const Signal& x) {
  for (std::size_t i = 0; i < std::min(to.size(), x.size()); ++i) to[i] += x[i];
}

}  // namespace conclave::dsp::echo_room
