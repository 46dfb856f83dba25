// SPDX-License-Identifier: Apache-2.0
#include "bench/metrics/signals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>
#include <numeric>

#include "base/frame_view.h"
#include "dsp/transform/real_fft.h"

namespace conclave::bench::metrics {
namespace {

constexpr std::size_t kLanes = 16;  // lags or samples that are summed side by side

double percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double place = fraction * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const auto high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
}

// sum over n of x[n] y[n + lag] for lag 0..lags-1, y taken as zero behind its end.
std::vector<double> correlation(SignalView x, SignalView y, int lags) {
  const auto count = (static_cast<std::size_t>(lags) + kLanes - 1) / kLanes * kLanes;
  std::vector<double> padded(y.begin(), y.end());
  padded.resize(x.size() + count, 0.0);
  std::vector<double> sums(count, 0.0);
  constexpr std::size_t kBlock = 2048;  // stays in the first cache while the lags go by
  for (std::size_t first = 0; first < x.size(); first += kBlock) {
    const std::size_t last = std::min(first + kBlock, x.size());
    for (std::size_t lag = 0; lag < count; lag += kLanes) {
      std::array<double, kLanes> sum{};
      for (std::size_t n = first; n < last; ++n) {
        const double value = x[n];
        const double* at = &padded[n + lag];
        for (std::size_t l = 0; l < kLanes; ++l) sum[l] += value * at[l];
      }
      for (std::size_t l = 0; l < kLanes; ++l) sums[lag + l] += sum[l];
    }
  }
  sums.resize(static_cast<std::size_t>(lags));
  return sums;
}

// Levinson's recursion: T h = c for the symmetric Toeplitz matrix with first row r.
std::vector<double> solve_toeplitz(const std::vector<double>& r, const std::vector<double>& c) {
  const std::size_t n = r.size();
  std::vector<double> h(n, 0.0);
  std::vector<double> a(n, 0.0);  // predictor
  std::vector<double> next(n, 0.0);
  a[0] = 1.0;
  double error = r[0];
  h[0] = c[0] / r[0];
  for (std::size_t m = 1; m < n; ++m) {
    double sum = 0;
    for (std::size_t i = 0; i < m; ++i) sum += a[i] * r[m - i];
    const double k = -sum / error;
    for (std::size_t i = 0; i <= m; ++i) next[i] = a[i] + k * a[m - i];
    std::swap(a, next);
    error *= 1.0 - k * k;
    double predicted = 0;
    for (std::size_t i = 0; i < m; ++i) predicted += h[i] * r[m - i];
    const double step = (c[m] - predicted) / error;
    for (std::size_t i = 0; i <= m; ++i) h[i] += step * a[m - i];
  }
  return h;
}

// sum over k of h[k] x[n - k].
Signal convolve(SignalView x, const std::vector<double>& h) {
  Signal padded(h.size(), 0.0);
  padded.insert(padded.end(), x.begin(), x.end());
  padded.resize(padded.size() + kLanes, 0.0);
  Signal out(x.size() + kLanes, 0.0);
  for (std::size_t n = 0; n < x.size(); n += kLanes) {
    std::array<double, kLanes> sum{};
    for (std::size_t k = 0; k < h.size(); ++k) {
      const double tap = h[k];
      const double* at = &padded[n + h.size() - k];
      for (std::size_t l = 0; l < kLanes; ++l) sum[l] += tap * at[l];
    }
    std::copy(sum.begin(), sum.end(), out.begin() + static_cast<std::ptrdiff_t>(n));
  }
  out.resize(x.size());
  return out;
}

double mean(SignalView x) {
  return x.empty() ? 0.0 : std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

double bessel_i0(double x) {
  double sum = 1;
  double term = 1;
  for (int k = 1; k < 60; ++k) {
    term *= x / (2 * k) * x / (2 * k);
    sum += term;
  }
  return sum;
}

}  // namespace

double power_db(double power) { return 10.0 * std::log10(power + 1e-12); }

double energy(SignalView x) { return std::inner_product(x.begin(), x.end(), x.begin(), 0.0); }

std::vector<double> frame_powers(SignalView x, int frame) {
  const auto size = static_cast<std::size_t>(frame);
  std::vector<double> powers(x.size() / size);
  for (std::size_t f = 0; f < powers.size(); ++f)
    powers[f] = energy(x.subspan(f * size, size)) / frame;
  return powers;
}

FrameMask active_frames(SignalView x, int frame, double threshold_db) {
  constexpr double kSilence = 1e-10;
  const auto powers = frame_powers(x, frame);
  FrameMask mask(powers.size(), false);
  std::vector<double> heard;
  std::ranges::copy_if(powers, std::back_inserter(heard), [](double p) { return p > kSilence; });
  if (heard.empty()) return mask;
  const double least =
      std::max(percentile(std::move(heard), 0.95) * std::pow(10.0, -threshold_db / 10), 1e-9);
  for (std::size_t f = 0; f < mask.size(); ++f) mask[f] = powers[f] > least;
  return mask;
}

FrameMask spread(const FrameMask& mask, int before, int after) {
  const auto frames = static_cast<int>(mask.size());
  FrameMask out(mask.size(), false);
  for (int f = 0; f < frames; ++f) {
    if (!mask[static_cast<std::size_t>(f)]) continue;
    const int last = std::min(frames - 1, f + after);
    for (int g = std::max(0, f - before); g <= last; ++g) out[static_cast<std::size_t>(g)] = true;
  }
  return out;
}

Signal pick(SignalView x, const FrameMask& mask, int frame) {
  const auto size = static_cast<std::size_t>(frame);
  Signal out;
  for (std::size_t f = 0; f < mask.size() && (f + 1) * size <= x.size(); ++f) {
    if (!mask[f]) continue;
    const auto part = x.subspan(f * size, size);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

double seconds_of(const FrameMask& mask) {
  return static_cast<double>(std::count(mask.begin(), mask.end(), true)) / kFramesPerSecond;
}

Lag find_lag(SignalView early, SignalView late, int max_lag) {
  const std::size_t n = std::min(early.size(), late.size());
  early = early.first(n);
  late = late.first(n);
  const auto lags = static_cast<std::size_t>(max_lag);
  std::size_t size = 4096;
  while (size < 4 * lags) size *= 2;
  auto fft = dsp::RealFft::create(static_cast<int>(size));
  if (!fft || n == 0) return {};
  const std::size_t step = size - lags;
  const double early_mean = mean(early);
  const double late_mean = mean(late);
  FrameBuffer time(2, static_cast<int>(size));
  SpectrumBuffer spectra(2, fft->bins());
  std::vector<std::complex<double>> sum(static_cast<std::size_t>(fft->bins()));
  double early_energy = 0;
  double late_energy = 0;
  for (std::size_t first = 0; first < n; first += step) {
    time.clear();
    for (std::size_t i = 0; i < step && first + i < n; ++i)
      time[0][i] = static_cast<float>(early[first + i] - early_mean);
    for (std::size_t i = 0; i < size && first + i < n; ++i)
      time[1][i] = static_cast<float>(late[first + i] - late_mean);
    for (int row = 0; row < 2; ++row) fft->forward(time[row], spectra[row]);
    for (std::size_t k = 0; k < sum.size(); ++k) {
      sum[k] +=
          std::conj(std::complex<double>(spectra[0][k])) * std::complex<double>(spectra[1][k]);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    early_energy += (early[i] - early_mean) * (early[i] - early_mean);
    late_energy += (late[i] - late_mean) * (late[i] - late_mean);
  }
  const double norm = std::sqrt(early_energy * late_energy) + 1e-12;
  for (std::size_t k = 0; k < sum.size(); ++k) spectra[0][k] = std::complex<float>(sum[k] / norm);
  fft->inverse(spectra[0], time[0]);
  Lag best;
  for (std::size_t k = 0; k < lags; ++k) {
    const double value = std::abs(static_cast<double>(time[0][k]));
    if (value > best.agreement) best = {static_cast<int>(k), value};
  }
  return best;
}

Signal fit(SignalView x, SignalView y, int taps) {
  const auto ahead = std::min(static_cast<std::size_t>(taps / 2), x.size());
  Signal early(x.begin() + static_cast<std::ptrdiff_t>(ahead), x.end());
  early.resize(x.size(), 0.0);
  auto r = correlation(early, early, taps);
  if (!(r[0] > 0)) return Signal(x.size(), 0.0);
  const auto c = correlation(early, y, taps);
  r[0] = r[0] * (1 + 1e-6) + 1e-9;
  return convolve(early, solve_toeplitz(r, c));
}

Signal resample(SignalView x, int from_rate, int to_rate) {
  const int common = std::gcd(from_rate, to_rate);
  const int up = to_rate / common;
  const int down = from_rate / common;
  if (up == down) return Signal(x.begin(), x.end());
  const int half = 10 * std::max(up, down);
  const double cutoff = 1.0 / std::max(up, down);
  constexpr double kBeta = 5.0;
  std::vector<double> taps(static_cast<std::size_t>(2 * half + 1));
  double sum = 0;
  for (std::size_t k = 0; k < taps.size(); ++k) {
    const int i = static_cast<int>(k) - half;
    const double t = std::numbers::pi * cutoff * i;
    const double place = static_cast<double>(i) / half;
    const double window =
        bessel_i0(kBeta * std::sqrt(std::max(0.0, 1 - place * place))) / bessel_i0(kBeta);
    const double value = (i == 0 ? 1.0 : std::sin(t) / t) * cutoff * window;
    taps[k] = value;
    sum += value;
  }
  for (double& tap : taps) tap *= up / sum;
  const auto in = static_cast<std::int64_t>(x.size());
  const std::int64_t out_size = (in * up + down - 1) / down;
  Signal out(static_cast<std::size_t>(out_size), 0.0);
  for (std::int64_t m = 0; m < out_size; ++m) {
    const std::int64_t at = m * down;  // in samples of the common rate
    std::int64_t first = (at - half + up - 1) / up;
    if (at - half < 0) first = 0;
    const std::int64_t last = std::min((at + half) / up, in - 1);
    double value = 0;
    for (std::int64_t n = first; n <= last; ++n)
      value += x[static_cast<std::size_t>(n)] * taps[static_cast<std::size_t>(at - n * up + half)];
    out[static_cast<std::size_t>(m)] = value;
  }
  return out;
}

}  // namespace conclave::bench::metrics
