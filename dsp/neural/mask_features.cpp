// SPDX-License-Identifier: Apache-2.0
#include "dsp/neural/mask_features.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "dsp/transform/real_fft.h"

namespace conclave::dsp {
namespace {

constexpr float kAbsurd = 1e3F;     // amplitude of a bin over full scale: no converter gives that
constexpr float kSilence = 1e-10F;  // power in a band that counts as nothing
constexpr float kLearn = 0.25F;     // of a new frame in the averages of the coherence
constexpr double kFirstHz = 60.0;
constexpr double kLeastStepHz = 80.0;
constexpr double kRelativeStep = 0.092;

double centre(int band) {
  double hz = kFirstHz;
  for (int b = 0; b < band; ++b) hz += std::max(kLeastStepHz, kRelativeStep * hz);
  return hz;
}

}  // namespace

float MaskBands::centre_hz(int band) noexcept { return static_cast<float>(centre(band)); }

MaskBands::MaskBands(int sample_rate, int fft_size) {
  const double step = static_cast<double>(sample_rate) / fft_size;
  bins_ = std::min(fft_size / 2 + 1, static_cast<int>(kHighestHz / step) + 1);
  std::vector<double> centres(kBands);
  for (int b = 0; b < kBands; ++b) centres[static_cast<std::size_t>(b)] = centre(b);
  lower_.reserve(static_cast<std::size_t>(bins_));
  upwards_.reserve(static_cast<std::size_t>(bins_));
  std::vector<std::vector<float>> columns(kBands, std::vector<float>(bins_, 0.0F));
  for (int k = 0; k < bins_; ++k) {
    const double hz = k * step;
    int lower = 0;
    while (lower < kBands - 2 && hz >= centres[static_cast<std::size_t>(lower) + 1]) ++lower;
    const auto l = static_cast<std::size_t>(lower);
    const double up = std::clamp((hz - centres[l]) / (centres[l + 1] - centres[l]), 0.0, 1.0);
    lower_.push_back(lower);
    upwards_.push_back(static_cast<float>(up));
    columns[l][static_cast<std::size_t>(k)] += static_cast<float>(1 - up);
    columns[l + 1][static_cast<std::size_t>(k)] += static_cast<float>(up);
  }
  for (const auto& column : columns) {
    const auto nonzero = [](float w) { return w > 0; };
    const auto first = std::find_if(column.begin(), column.end(), nonzero);
    const auto last = std::find_if(column.rbegin(), column.rend(), nonzero).base();
    Range range;
    range.first = static_cast<int>(first - column.begin());
    range.count = static_cast<int>(std::max<std::ptrdiff_t>(0, last - first));
    range.offset = static_cast<int>(weights_.size());
    if (range.count > 0) weights_.insert(weights_.end(), first, last);
    ranges_.push_back(range);
  }
}

void MaskBands::sum(const float* power, std::span<float> bands) const noexcept {
  assert(bands.size() == kBands);
  for (std::size_t b = 0; b < ranges_.size(); ++b) {
    const Range& range = ranges_[b];
    const float* w = weights_.data() + range.offset;
    const float* p = power + range.first;
    float total = 0;
    for (int i = 0; i < range.count; ++i) total += w[i] * p[i];
    bands[b] = total;
  }
}

void MaskBands::spread(std::span<const float> bands, std::span<float> gain) const noexcept {
  assert(bands.size() == kBands);
  const std::size_t covered = std::min(static_cast<std::size_t>(bins_), gain.size());
  for (std::size_t k = 0; k < covered; ++k) {
    const float* b = bands.data() + lower_[k];
    gain[k] = b[0] + upwards_[k] * (b[1] - b[0]);
  }
  std::fill(gain.begin() + static_cast<std::ptrdiff_t>(covered), gain.end(), bands.back());
}

MaskFeatures::MaskFeatures(int sample_rate, int hop)
    : bands_(sample_rate, fft_size_for_hop(hop)),
      // |X|^2 of noise of variance v is v * hop in each bin; of its one-sided density, each bin
      // stands for a width of sample_rate / fft_size.
      scale_(
          static_cast<float>(std::sqrt(2.0 / (static_cast<double>(hop) * fft_size_for_hop(hop))))),
      smooth_(kRows, bands_.bins()),
      work_(8, bands_.bins()),
      features_(1, kCount),
      sums_(2, MaskBands::kBands) {}

void MaskFeatures::reset() noexcept { smooth_.clear(); }

void MaskFeatures::load(std::span<const std::complex<float>> spectrum, float* re,
                        float* im) noexcept {
  const std::size_t count = static_cast<std::size_t>(bands_.bins());
  if (spectrum.empty()) {
    std::fill_n(re, count, 0.0F);
    std::fill_n(im, count, 0.0F);
    return;
  }
  assert(spectrum.size() >= count);
  for (std::size_t k = 0; k < count; ++k) {
    const float r = spectrum[k].real() * scale_;
    const float i = spectrum[k].imag() * scale_;
    const bool sane = std::abs(r) < kAbsurd && std::abs(i) < kAbsurd;  // false for NaN as well
    re[k] = sane ? r : 0.0F;
    im[k] = sane ? i : 0.0F;
  }
}

void MaskFeatures::power(const float* re, const float* im, float* out) const noexcept {
  for (int k = 0; k < bands_.bins(); ++k) out[k] = re[k] * re[k] + im[k] * im[k];
}

void MaskFeatures::band_power(std::span<const std::complex<float>> spectrum,
                              std::span<float> out) noexcept {
  float* re = work_[0].data();
  float* im = work_[1].data();
  load(spectrum, re, im);
  power(re, im, re);
  bands_.sum(re, out);
}

void MaskFeatures::log_bands(const float* power_of_bins, float* out) noexcept {
  bands_.sum(power_of_bins, sums_[0]);
  for (std::size_t b = 0; b < MaskBands::kBands; ++b) {
    // Full scale is about 3, nothing is -2: what a network likes.
    out[b] = 0.5F * (std::log10(sums_[0][b] + kSilence) + 6.0F);
  }
}

void MaskFeatures::coherence(int auto_row, int cross_row, float* out) noexcept {
  const float* a = smooth_[auto_row].data();
  const float* y = smooth_[kEcho].data();
  const float* re = smooth_[cross_row].data();
  const float* im = smooth_[cross_row + 1].data();
  float* shared = work_[6].data();
  float* all = work_[7].data();
  for (int k = 0; k < bands_.bins(); ++k) {
    shared[k] = re[k] * re[k] + im[k] * im[k];
    all[k] = a[k] * y[k];
  }
  bands_.sum(shared, sums_[0]);
  bands_.sum(all, sums_[1]);
  constexpr float kNothing = 1e-22F;  // of a product of powers
  for (std::size_t b = 0; b < MaskBands::kBands; ++b) {
    out[b] = sums_[0][b] / (sums_[1][b] + kNothing);
  }
}

std::span<const float> MaskFeatures::process(std::span<const std::complex<float>> error,
                                             std::span<const std::complex<float>> echo,
                                             std::span<const std::complex<float>> far) noexcept {
  float* er = work_[0].data();
  float* ei = work_[1].data();
  float* yr = work_[2].data();
  float* yi = work_[3].data();
  float* fr = work_[4].data();
  float* fi = work_[5].data();
  load(error, er, ei);
  load(echo, yr, yi);
  load(far, fr, fi);
  float* see = smooth_[kError].data();
  float* syy = smooth_[kEcho].data();
  float* sdd = smooth_[kMic].data();
  float* eyr = smooth_[kErrorEchoRe].data();
  float* eyi = smooth_[kErrorEchoIm].data();
  float* dyr = smooth_[kMicEchoRe].data();
  float* dyi = smooth_[kMicEchoIm].data();
  for (int k = 0; k < bands_.bins(); ++k) {
    const float dr = er[k] + yr[k];
    const float di = ei[k] + yi[k];
    see[k] += kLearn * (er[k] * er[k] + ei[k] * ei[k] - see[k]);
    syy[k] += kLearn * (yr[k] * yr[k] + yi[k] * yi[k] - syy[k]);
    sdd[k] += kLearn * (dr * dr + di * di - sdd[k]);
    eyr[k] += kLearn * (er[k] * yr[k] + ei[k] * yi[k] - eyr[k]);
    eyi[k] += kLearn * (ei[k] * yr[k] - er[k] * yi[k] - eyi[k]);
    dyr[k] += kLearn * (dr * yr[k] + di * yi[k] - dyr[k]);
    dyi[k] += kLearn * (di * yr[k] - dr * yi[k] - dyi[k]);
  }
  float* out = features_.data();
  power(er, ei, er);
  power(yr, yi, yr);
  power(fr, fi, fr);
  log_bands(er, out);
  log_bands(yr, out + MaskBands::kBands);
  log_bands(fr, out + 2 * MaskBands::kBands);
  coherence(kError, kErrorEchoRe, out + 3 * MaskBands::kBands);
  coherence(kMic, kMicEchoRe, out + 4 * MaskBands::kBands);
  return features_[0];
}

}  // namespace conclave::dsp
