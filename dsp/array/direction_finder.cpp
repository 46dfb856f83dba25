// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/direction_finder.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <string>

#include "dsp/array/direction_tracker.h"
#include "dsp/array/onset_weight.h"
#include "dsp/array/srp_map.h"

namespace conclave::dsp {
namespace {

constexpr double kLowHz = 300;
constexpr double kHighHz = 5000;
constexpr float kFastSeconds = 0.05F;
constexpr float kSlowSeconds = 0.20F;
constexpr float kPeaksApartDeg = 25;

// Activity: the strongest response times its weight, against what noise alone makes of it.
constexpr float kStartFloor = 0.002F;
constexpr float kLeastFloor = 0.0006F;
constexpr float kMostFloor = 0.01F;
constexpr float kFloorGate = 2.5F;
constexpr float kFloorLearn = 0.02F;
constexpr float kFloorRise = 1.003F;
constexpr float kActiveFrom = 2.2F;  // times the floor
constexpr float kActiveRange = 2.5F;

bool finite(ConstSpectrumView x) noexcept {
  float sum = 0;
  for (int m = 0; m < x.channels(); ++m) {
    const auto* v = reinterpret_cast<const float*>(x[m].data());
    float part = 0;
    for (int i = 0; i < 2 * x.frames(); ++i) part += v[i] * v[i];
    sum += part;
  }
  return std::isfinite(sum);
}

}  // namespace

struct DirectionFinder::State {
  DirectionFinderConfig config;
  DirectionFinderParams params;
  int microphones = 0;
  int bins = 0;
  OnsetWeight weight;
  SrpMap map;
  DirectionTracker tracker;
  float floor = kStartFloor;
  DirectionMetrics metrics;

  float judge(float response) noexcept;
  void report(float activity, float peak) noexcept;
};

/// Probability-like activity of a frame and learning of the floor.
float DirectionFinder::State::judge(float response) noexcept {
  if (response < kFloorGate * floor) {
    floor += kFloorLearn * (response - floor);
  } else {
    floor *= kFloorRise;
  }
  floor = std::clamp(floor, kLeastFloor, kMostFloor);
  const float over = response / (kActiveFrom * floor);
  return over <= 1 ? 0.0F : std::min(1.0F, std::log(over) / std::log(kActiveRange));
}

void DirectionFinder::State::report(float activity, float peak) noexcept {
  metrics.activity = activity;
  metrics.track_count = 0;
  std::array<const DirectionTracker::Track*, DirectionTracker::kHypotheses> order{};
  std::size_t count = 0;
  for (const auto& t : tracker.tracks()) {
    if (t.id != 0 && t.confirmed) order[count++] = &t;
  }
  for (std::size_t i = 1; i < count; ++i) {  // by insertion: eight at most
    for (std::size_t k = i; k > 0 && order[k]->activity > order[k - 1]->activity; --k) {
      std::swap(order[k], order[k - 1]);
    }
  }
  metrics.tracks.fill({});
  for (std::size_t i = 0; i < std::min(count, metrics.tracks.size()); ++i) {
    const auto& t = *order[i];
    metrics.tracks[i] = {t.id, t.azimuth_deg, t.elevation_deg, t.activity, t.active};
    ++metrics.track_count;
  }
  if (params.fixed) {
    metrics.azimuth_deg = params.fixed_azimuth_deg;
    metrics.elevation_deg = params.fixed_elevation_deg;
    metrics.confidence = 1;
    metrics.valid = true;
    return;
  }
  const auto* primary = tracker.primary();
  if (primary == nullptr) {
    metrics.confidence = 0;
    metrics.valid = false;
    return;
  }
  metrics.azimuth_deg = primary->azimuth_deg;
  metrics.elevation_deg = primary->elevation_deg;
  metrics.confidence = std::clamp(primary->score / 20 * std::min(1.0F, peak / 0.3F), 0.0F, 1.0F);
  metrics.valid = true;
}

DirectionFinder::DirectionFinder(std::unique_ptr<State> state) : state_(std::move(state)) {}
DirectionFinder::~DirectionFinder() = default;

Result<std::unique_ptr<DirectionFinder>> DirectionFinder::create(
    const DirectionFinderConfig& config) {
  CONCLAVE_CHECK_STATUS(check_geometry(config.geometry));
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || config.fft_size < 128 ||
      config.fft_size > 16384 || config.fft_size % 2 != 0 || config.hop < 1 ||
      config.hop > config.fft_size) {
    return Error{"direction finder: rate " + std::to_string(config.sample_rate) +
                 ", transform size " + std::to_string(config.fft_size) + " and hop " +
                 std::to_string(config.hop) + " do not fit together"};
  }
  auto state = std::make_unique<State>();
  State& s = *state;
  s.config = config;
  s.microphones = static_cast<int>(config.geometry.ring.size());
  s.bins = config.fft_size / 2 + 1;
  const double hz = static_cast<double>(config.sample_rate) / config.fft_size;
  const int first = static_cast<int>(std::lround(kLowHz / hz));
  const int last = std::min(s.bins - 1, static_cast<int>(std::lround(kHighHz / hz)));
  const float hop = static_cast<float>(config.hop) / static_cast<float>(config.sample_rate);
  s.weight = OnsetWeight(first, last - first, hop);
  s.map = SrpMap(config.geometry, config.sample_rate, config.fft_size, first, last - first,
                 std::exp(-hop / kFastSeconds), std::exp(-hop / kSlowSeconds));
  s.tracker = DirectionTracker(hop);
  return std::unique_ptr<DirectionFinder>(new DirectionFinder(std::move(state)));
}

void DirectionFinder::set_params(const DirectionFinderParams& params) noexcept {
  DirectionFinderParams& p = state_->params;
  p.fixed = params.fixed && std::isfinite(params.fixed_azimuth_deg) &&
            std::isfinite(params.fixed_elevation_deg);
  if (!p.fixed) return;
  const float turned = std::fmod(params.fixed_azimuth_deg, 360.0F);
  p.fixed_azimuth_deg = turned < 0 ? turned + 360.0F : turned;
  p.fixed_elevation_deg = std::clamp(params.fixed_elevation_deg, 0.0F, 90.0F);
}

void DirectionFinder::reset() noexcept {
  State& s = *state_;
  s.weight.reset();
  s.map.reset();
  s.tracker.reset();
  s.floor = kStartFloor;
  s.metrics = {};
}

void DirectionFinder::process(ConstSpectrumView ring, bool adapt) noexcept {
  State& s = *state_;
  assert(ring.channels() == s.microphones && ring.frames() == s.bins);
  if (!adapt || !finite(ring)) {
    s.tracker.update({}, 0);
    s.report(s.metrics.activity * 0.9F, 0.3F);
    return;
  }
  s.weight.update(ring, true);
  s.map.update(ring, s.weight.weight());
  if (!s.map.usable()) {
    // No direction, but the presence of speech is known: 0.08 is what noise alone gives.
    const float a = std::clamp((s.weight.presence() - 0.12F) / 0.2F, 0.0F, 1.0F);
    s.report(a, 0);
    return;
  }
  std::array<SrpMap::Peak, 3> peaks{};
  const int found = s.map.find_peaks(SrpMap::kFast, kPeaksApartDeg, peaks);
  const float response =
      found > 0 ? std::max(0.0F, peaks[0].value) * s.map.support(SrpMap::kFast) : 0.0F;
  const float activity = s.judge(response);
  s.tracker.update({peaks.data(), static_cast<std::size_t>(found)}, activity);
  s.report(activity, found > 0 ? peaks[0].value : 0.0F);
}

const DirectionMetrics& DirectionFinder::metrics() const noexcept { return state_->metrics; }

}  // namespace conclave::dsp
