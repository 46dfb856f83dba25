// SPDX-License-Identifier: Apache-2.0
#include "bench/metrics/fidelity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/frame_view.h"
#include "dsp/transform/real_fft.h"

namespace conclave::bench::metrics {
namespace {

// Names as in the papers: 256-sample frames at 10 kHz, 15 third-octave bands from 150 Hz, segments
// of 30 frames, clipping at -15 dB, silence at 40 dB below the loudest frame.
constexpr int kRate = 10000;
constexpr std::size_t kWindow = 256;
constexpr std::size_t kHop = 128;
constexpr int kFft = 512;
constexpr std::size_t kBands = 15;
constexpr std::size_t kSegment = 30;
constexpr double kSilenceDb = 40;
constexpr double kTiny = 1e-12;

using Bands = std::array<double, kBands>;

std::vector<double> window() {
  std::vector<double> w(kWindow);
  for (std::size_t i = 0; i < kWindow; ++i) {
    w[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i + 1) / (kWindow + 1));
  }
  return w;
}

std::size_t frame_count(std::size_t samples) {
  return samples <= kWindow ? 0 : (samples - kWindow + kHop - 1) / kHop;
}

// Both signals without the frames in which the truth is silent.
void drop_silence(Signal& truth, Signal& x) {
  static const auto kShape = window();
  const std::size_t frames = frame_count(truth.size());
  std::vector<double> loud(frames);
  for (std::size_t f = 0; f < frames; ++f) {
    double sum = 0;
    for (std::size_t i = 0; i < kWindow; ++i) {
      const double value = truth[f * kHop + i] * kShape[i];
      sum += value * value;
    }
    loud[f] = 20 * std::log10(std::sqrt(sum) + kTiny);
  }
  const double least = *std::ranges::max_element(loud) - kSilenceDb;
  Signal kept_truth;
  Signal kept_x;
  std::size_t at = 0;
  for (std::size_t f = 0; f < frames; ++f) {
    if (!(loud[f] > least)) continue;
    kept_truth.resize(at + kWindow, 0.0);
    kept_x.resize(at + kWindow, 0.0);
    for (std::size_t i = 0; i < kWindow; ++i) {
      kept_truth[at + i] += truth[f * kHop + i] * kShape[i];
      kept_x[at + i] += x[f * kHop + i] * kShape[i];
    }
    at += kHop;
  }
  truth = std::move(kept_truth);
  x = std::move(kept_x);
}

std::array<std::pair<std::size_t, std::size_t>, kBands> band_edges() {
  const auto nearest = [](double frequency) {
    return static_cast<std::size_t>(std::lround(frequency * kFft / kRate));
  };
  std::array<std::pair<std::size_t, std::size_t>, kBands> edges;
  for (std::size_t b = 0; b < kBands; ++b) {
    const double centre = 150 * std::pow(2.0, static_cast<double>(b) / 3);
    edges[b] = {nearest(centre * std::pow(2.0, -1.0 / 6)),
                nearest(centre * std::pow(2.0, 1.0 / 6))};
  }
  return edges;
}

std::vector<Bands> band_amplitudes(SignalView x, const dsp::RealFft& fft) {
  static const auto kShape = window();
  static const auto kEdges = band_edges();
  FrameBuffer time(1, kFft);
  SpectrumBuffer spectrum(1, fft.bins());
  std::vector<Bands> all(frame_count(x.size()));
  for (std::size_t f = 0; f < all.size(); ++f) {
    for (std::size_t i = 0; i < kWindow; ++i)
      time[0][i] = static_cast<float>(x[f * kHop + i] * kShape[i]);
    fft.forward(time[0], spectrum[0]);
    for (std::size_t b = 0; b < kBands; ++b) {
      double power = 0;
      for (std::size_t k = kEdges[b].first; k < kEdges[b].second; ++k)
        power += std::norm(std::complex<double>(spectrum[0][k]));
      all[f][b] = std::sqrt(power);
    }
  }
  return all;
}

void remove_mean(std::span<double> x) {
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  for (double& value : x) value -= mean;
}

double dot(SignalView a, SignalView b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

using Row = std::array<double, kSegment>;
using Patch = std::array<Row, kBands>;

Patch patch_of(const std::vector<Bands>& bands, std::size_t first) {
  Patch patch;
  for (std::size_t b = 0; b < kBands; ++b)
    for (std::size_t t = 0; t < kSegment; ++t) patch[b][t] = bands[first + t][b];
  return patch;
}

double stoi_of(const Patch& truth, const Patch& x) {
  static const double kClip = 1 + std::pow(10.0, 15.0 / 20);
  double sum = 0;
  for (std::size_t b = 0; b < kBands; ++b) {
    Row a = truth[b];
    Row y = x[b];
    const double scale = std::sqrt(dot(a, a)) / (std::sqrt(dot(y, y)) + kTiny);
    for (std::size_t t = 0; t < kSegment; ++t) y[t] = std::min(y[t] * scale, a[t] * kClip);
    remove_mean(a);
    remove_mean(y);
    sum += dot(a, y) / (std::sqrt(dot(a, a)) * std::sqrt(dot(y, y)) + kTiny);
  }
  return sum / kBands;
}

// Each band over time, then each frame over bands: mean 0 and length 1.
void normalise(Patch& patch) {
  const auto unit = [](std::span<double> row) {
    remove_mean(row);
    const double length = std::sqrt(dot(row, row)) + kTiny;
    for (double& value : row) value /= length;
  };
  for (Row& row : patch) unit(row);
  for (std::size_t t = 0; t < kSegment; ++t) {
    Bands column;
    for (std::size_t b = 0; b < kBands; ++b) column[b] = patch[b][t];
    unit(column);
    for (std::size_t b = 0; b < kBands; ++b) patch[b][t] = column[b];
  }
}

double estoi_of(Patch truth, Patch x) {
  normalise(truth);
  normalise(x);
  double sum = 0;
  for (std::size_t b = 0; b < kBands; ++b) sum += dot(truth[b], x[b]);
  return sum / kSegment;
}

}  // namespace

double si_sdr(SignalView truth, SignalView x) {
  Signal s(truth.begin(), truth.end());
  Signal y(x.begin(), x.end());
  if (s.empty()) return power_db(0);
  remove_mean(s);
  remove_mean(y);
  const double scale = dot(y, s) / (dot(s, s) + kTiny);
  double rest = 0;
  for (std::size_t i = 0; i < s.size(); ++i) rest += (y[i] - scale * s[i]) * (y[i] - scale * s[i]);
  return power_db(scale * scale * dot(s, s) / (rest + kTiny));
}

double fir_sdr(SignalView truth, SignalView x, int rate) {
  const Signal fitted = fit(truth, x, static_cast<int>(std::lround(0.016 * rate)));
  double rest = 0;
  for (std::size_t i = 0; i < fitted.size(); ++i) rest += (x[i] - fitted[i]) * (x[i] - fitted[i]);
  return power_db(energy(fitted) / (rest + kTiny));
}

Intelligibility intelligibility(SignalView truth, SignalView x, int rate) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Signal s = resample(truth, rate, kRate);
  Signal y = resample(x, rate, kRate);
  if (s.size() < kWindow + 2 * kHop) return {kNone, kNone};
  drop_silence(s, y);
  auto fft = dsp::RealFft::create(kFft);
  if (!fft || frame_count(s.size()) < kSegment + 1) return {kNone, kNone};
  const auto a = band_amplitudes(s, *fft);
  const auto b = band_amplitudes(y, *fft);
  Intelligibility sum;
  const std::size_t segments = a.size() - kSegment + 1;
  for (std::size_t first = 0; first < segments; ++first) {
    const Patch clean = patch_of(a, first);
    const Patch heard = patch_of(b, first);
    sum.stoi += stoi_of(clean, heard);
    sum.estoi += estoi_of(clean, heard);
  }
  return {sum.stoi / static_cast<double>(segments), sum.estoi / static_cast<double>(segments)};
}

}  // namespace conclave::bench::metrics
