// SPDX-License-Identifier: Apache-2.0
#include "tests/media/signals.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

namespace conclave::media {

std::vector<float> vowel(int sample_rate, double seconds) {
  std::vector<float> out(static_cast<std::size_t>(sample_rate * seconds));
  double phase = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / sample_rate;
    phase +=
        2 * std::numbers::pi * (140 + 3 * std::sin(2 * std::numbers::pi * 4 * t)) / sample_rate;
    double sum = 0;
    for (int h = 1; h <= 20; ++h) sum += std::sin(h * phase + h * h) / h;
    out[i] = static_cast<float>(0.11 * sum);
  }
  return out;
}

std::vector<float> sine(int sample_rate, double seconds, double hertz, float amplitude) {
  std::vector<float> out(static_cast<std::size_t>(sample_rate * seconds));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = amplitude * static_cast<float>(std::sin(2 * std::numbers::pi * hertz *
                                                     static_cast<double>(i) / sample_rate));
  }
  return out;
}

double snr_db(std::span<const float> reference, std::span<const float> signal, int delay,
              int skip) {
  double best = -100;
  for (int d = delay - 3; d <= delay + 3; ++d) {
    double power = 1e-12, error = 1e-12;
    for (std::size_t i = static_cast<std::size_t>(skip + delay + 3); i < signal.size(); ++i) {
      const double r = reference[i - static_cast<std::size_t>(d)];
      power += r * r;
      error += (signal[i] - r) * (signal[i] - r);
    }
    best = std::max(best, 10 * std::log10(power / error));
  }
  return best;
}

double tone_share_db(std::span<const float> signal, int sample_rate, double hertz) {
  double re = 0, im = 0, power = 1e-12;
  for (std::size_t i = 0; i < signal.size(); ++i) {
    const double w = 2 * std::numbers::pi * hertz * static_cast<double>(i) / sample_rate;
    re += signal[i] * std::cos(w);
    im += signal[i] * std::sin(w);
    power += static_cast<double>(signal[i]) * signal[i];
  }
  const double tone = 2 * (re * re + im * im) / static_cast<double>(signal.size());
  return 10 * std::log10(std::max(tone / power, 1e-12));
}

}  // namespace conclave::media
