// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/srp_map.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace conclave::dsp {
namespace {

constexpr int kBlock = 32;              // lags handled at once: they stay in registers
constexpr double kGridStep = 25e-6;     // seconds at most
constexpr std::size_t kMostPairs = 36;  // beyond that pairs add cost and little else
constexpr float kElevationGrid[SrpMap::kElevations] = {12, 42};
constexpr float kLeastWeight = 0.004F;  // of a full frame; keeps a map without speech near 0

/// even[l] += g_re cos, odd[l] += g_im sin for one block of lags.
void transform_block(const float* re, const float* im, const float* cosines, const float* sines,
                     int bins, int stride, float* even, float* odd) noexcept {
  float e[kBlock] = {};
  float o[kBlock] = {};
  for (int k = 0; k < bins; ++k) {
    const float* __restrict c = cosines + static_cast<std::ptrdiff_t>(k) * stride;
    const float* __restrict s = sines + static_cast<std::ptrdiff_t>(k) * stride;
    const float gr = re[k];
    const float gi = im[k];
    for (int l = 0; l < kBlock; ++l) {
      e[l] += gr * c[l];
      o[l] += gi * s[l];
    }
  }
  for (int l = 0; l < kBlock; ++l) {
    even[l] = e[l];
    odd[l] = o[l];
  }
}

/// True when the positions do not all lie on one vertical line or one line at all.
bool spans_plane(const std::vector<Position>& mics) {
  double xx = 0, yy = 0, xy = 0, mx = 0, my = 0;
  for (const Position& p : mics) {
    mx += p.x;
    my += p.y;
  }
  mx /= static_cast<double>(mics.size());
  my /= static_cast<double>(mics.size());
  for (const Position& p : mics) {
    xx += (p.x - mx) * (p.x - mx);
    yy += (p.y - my) * (p.y - my);
    xy += (p.x - mx) * (p.y - my);
  }
  const double half = 0.5 * (xx + yy);
  const double least = half - std::sqrt(std::max(0.0, half * half - (xx * yy - xy * xy)));
  return std::sqrt(std::max(0.0, least)) > 0.005;
}

}  // namespace

SrpMap::SrpMap(const Geometry& geometry, int sample_rate, int fft_size, int first_bin, int bins,
               float keep_fast, float keep_slow)
    : first_bin_(first_bin),
      bins_(bins),
      usable_(geometry.ring.size() >= 3 && spans_plane(geometry.ring)),
      keep_{keep_fast, keep_slow} {
  if (!usable_) return;
  const auto& mics = geometry.ring;
  struct Candidate {
    int a, b;
    double length;
  };
  std::vector<Candidate> all;
  for (int a = 0; a < static_cast<int>(mics.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(mics.size()); ++b) {
      const Position& p = mics[static_cast<std::size_t>(a)];
      const Position& q = mics[static_cast<std::size_t>(b)];
      all.push_back({a, b, std::hypot(p.x - q.x, p.y - q.y, p.z - q.z)});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& l, const Candidate& r) { return l.length > r.length; });
  const double longest = all.front().length / geometry.speed_of_sound;
  const int steps = std::max(8, static_cast<int>(std::ceil(longest / kGridStep)));
  half_ = (steps + 2 + kBlock - 1) / kBlock * kBlock;
  middle_ = half_;
  const double step = longest / (half_ - 2);
  const std::size_t count = std::min(all.size(), kMostPairs);
  for (std::size_t i = 0; i < count; ++i) {
    // Evenly through the lengths, so that short pairs (no aliasing) and long ones (resolution)
    // stay.
    const Candidate& c = all[i * all.size() / count];
    const Position& p = mics[static_cast<std::size_t>(c.a)];
    const Position& q = mics[static_cast<std::size_t>(c.b)];
    const double unit = geometry.speed_of_sound * step;
    pairs_.push_back({c.a, c.b, static_cast<float>((p.x - q.x) / unit),
                      static_cast<float>((p.y - q.y) / unit),
                      static_cast<float>((p.z - q.z) / unit)});
  }
  tables_ = FrameBuffer(2 * bins, half_);
  for (int k = 0; k < bins; ++k) {
    const double w = 2 * std::numbers::pi * (first_bin + k) * sample_rate / fft_size;
    for (int l = 0; l < half_; ++l) {
      tables_[k][static_cast<std::size_t>(l)] = static_cast<float>(std::cos(w * l * step));
      tables_[bins + k][static_cast<std::size_t>(l)] = static_cast<float>(std::sin(w * l * step));
    }
  }
  for (auto& map : maps_) map = FrameBuffer(static_cast<int>(pairs_.size()), 2 * half_ + 1);
  phases_ = FrameBuffer(2 * static_cast<int>(mics.size()), bins);
  cross_ = FrameBuffer(2, bins);
  coarse_.resize(static_cast<std::size_t>(kElevations) * kAzimuths);
  for (const float elevation : kElevationGrid) {
    for (int a = 0; a < kAzimuths; ++a) {
      const Position u = direction_vector(360.0 * a / kAzimuths, elevation);
      for (const Pair& p : pairs_) {
        const double lag = u.x * p.x + u.y * p.y + u.z * p.z;
        grid_.push_back(static_cast<std::uint16_t>(std::lround(lag) + middle_));
      }
    }
  }
  reset();
}

void SrpMap::reset() noexcept {
  for (auto& map : maps_) map.clear();
  weight_[0] = weight_[1] = 0;
}

void SrpMap::update(ConstSpectrumView ring, std::span<const float> weight) noexcept {
  assert(static_cast<int>(weight.size()) == bins_);
  float total = 0;
  for (const float w : weight) total += w;
  const float share = total / static_cast<float>(bins_);
  for (int i = 0; i < 2; ++i) weight_[i] = keep_[i] * weight_[i] + (1 - keep_[i]) * share;
  if (!usable_) return;

  // Phases with the root of the weight, so that each product of two carries the weight.
  for (int m = 0; m < ring.channels(); ++m) {
    const auto x = ring[m].subspan(static_cast<std::size_t>(first_bin_));
    auto re = phases_[2 * m];
    auto im = phases_[2 * m + 1];
    for (std::size_t k = 0; k < static_cast<std::size_t>(bins_); ++k) {
      const float power = x[k].real() * x[k].real() + x[k].imag() * x[k].imag();
      const float g = std::sqrt(weight[k] / (power + 1e-30F));
      re[k] = x[k].real() * g;
      im[k] = x[k].imag() * g;
    }
  }
  const float norm = 1.0F / static_cast<float>(bins_);
  const float gain[2] = {(1 - keep_[0]) * norm, (1 - keep_[1]) * norm};
  for (std::size_t p = 0; p < pairs_.size(); ++p) {
    const float* ar = phases_[2 * pairs_[p].a].data();
    const float* ai = phases_[2 * pairs_[p].a + 1].data();
    const float* br = phases_[2 * pairs_[p].b].data();
    const float* bi = phases_[2 * pairs_[p].b + 1].data();
    float* __restrict re = cross_[0].data();
    float* __restrict im = cross_[1].data();
    for (int k = 0; k < bins_; ++k) {
      re[k] = ar[k] * br[k] + ai[k] * bi[k];
      im[k] = ai[k] * br[k] - ar[k] * bi[k];
    }
    float* fast = maps_[kFast][static_cast<int>(p)].data() + middle_;
    float* slow = maps_[kSlow][static_cast<int>(p)].data() + middle_;
    for (int block = 0; block < half_; block += kBlock) {
      float even[kBlock];
      float odd[kBlock];
      transform_block(re, im, tables_[0].data() + block, tables_[bins_].data() + block, bins_,
                      tables_.stride(), even, odd);
      const auto mix = [&](float* map, float keep, float g) {
        for (int l = 0; l < kBlock; ++l) {
          map[block + l] = keep * map[block + l] + g * (even[l] + odd[l]);
        }
        // Lag 0 has been done above; the negative side starts at 1.
        for (int l = block == 0 ? 1 : 0; l < kBlock; ++l) {
          map[-block - l] = keep * map[-block - l] + g * (even[l] - odd[l]);
        }
      };
      mix(fast, keep_[0], gain[0]);
      mix(slow, keep_[1], gain[1]);
    }
  }
}

float SrpMap::scale(Which which) const noexcept {
  return 1.0F / (static_cast<float>(pairs_.size()) * (weight_[which] + kLeastWeight));
}

float SrpMap::support(Which which) const noexcept { return weight_[which]; }

float SrpMap::value(Which which, float azimuth_deg, float elevation_deg) const noexcept {
  if (!usable_) return 0;
  constexpr float kRadians = std::numbers::pi_v<float> / 180;
  const float ce = std::cos(elevation_deg * kRadians);
  const float x = ce * std::cos(azimuth_deg * kRadians);
  const float y = ce * std::sin(azimuth_deg * kRadians);
  const float z = std::sin(elevation_deg * kRadians);
  float sum = 0;
  for (std::size_t p = 0; p < pairs_.size(); ++p) {
    const Pair& pair = pairs_[p];
    const float lag = x * pair.x + y * pair.y + z * pair.z + static_cast<float>(middle_);
    const auto i = static_cast<int>(lag);
    const float t = lag - static_cast<float>(i);
    const float* row = maps_[which][static_cast<int>(p)].data() + i;
    sum += row[0] + t * (row[1] - row[0]);
  }
  return sum * scale(which);
}

void SrpMap::refine(Which which, Peak& peak) const noexcept {
  // Elevation first (a flat ring sees it badly, so steps are wide), then azimuth by a parabola.
  constexpr float kElevationSteps[] = {4, 18, 30, 55};
  for (const float elevation : kElevationSteps) {
    const float v = value(which, peak.azimuth_deg, elevation);
    if (v > peak.value) {
      peak.value = v;
      peak.elevation_deg = elevation;
    }
  }
  for (const float step : {2.5F, 1.0F}) {
    const float left = value(which, peak.azimuth_deg - step, peak.elevation_deg);
    const float here = value(which, peak.azimuth_deg, peak.elevation_deg);
    const float right = value(which, peak.azimuth_deg + step, peak.elevation_deg);
    const float curve = left - 2 * here + right;
    const float shift =
        curve < -1e-9F ? 0.5F * (left - right) / curve : (right > left ? 1.0F : -1.0F);
    peak.azimuth_deg += step * std::clamp(shift, -1.5F, 1.5F);
  }
  peak.azimuth_deg = std::fmod(peak.azimuth_deg + 720.0F, 360.0F);
  peak.value = value(which, peak.azimuth_deg, peak.elevation_deg);
}

int SrpMap::find_peaks(Which which, float apart_deg, std::span<Peak> peaks) noexcept {
  if (!usable_) return 0;
  const std::uint16_t* index = grid_.data();
  const float norm = scale(which);
  const int stride = maps_[which].stride();
  for (float& out : coarse_) {
    const float* row = maps_[which].data();
    float sum = 0;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      sum += row[index[p]];
      row += stride;
    }
    index += pairs_.size();
    out = sum * norm;
  }
  int found = 0;
  for (std::size_t n = 0; n < peaks.size(); ++n) {
    Peak best;
    best.value = -2;
    for (int e = 0; e < kElevations; ++e) {
      for (int a = 0; a < kAzimuths; ++a) {
        const float v = coarse_[static_cast<std::size_t>(e * kAzimuths + a)];
        if (v <= best.value) continue;
        const float azimuth = 360.0F * static_cast<float>(a) / kAzimuths;
        // Only true local maxima: the shoulder of a stronger peak is not a talker.
        const auto at = [&](int i) {
          return coarse_[static_cast<std::size_t>(e * kAzimuths + (i + kAzimuths) % kAzimuths)];
        };
        if (at(a - 1) > v || at(a + 1) > v) continue;
        bool free = true;
        for (int i = 0; i < found; ++i) {
          free = free &&
                 std::abs(std::remainder(peaks[static_cast<std::size_t>(i)].azimuth_deg - azimuth,
                                         360.0F)) > apart_deg;
        }
        if (free) best = {azimuth, kElevationGrid[e], v};
      }
    }
    if (best.value < -1) break;
    refine(which, best);
    peaks[static_cast<std::size_t>(found++)] = best;
  }
  return found;
}

}  // namespace conclave::dsp
