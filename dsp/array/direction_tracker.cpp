// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/direction_tracker.h"

#include <algorithm>
#include <cmath>

namespace conclave::dsp {
namespace {

constexpr float kGateDeg = 18;
constexpr float kMergeDeg = 14;
constexpr float kFrame = 0.01F;        // the constants below are for this hop
constexpr float kWalkVariance = 0.3F;  // degrees^2 a frame
constexpr float kPeakVariance = 60;    // degrees^2 of a peak with full evidence
constexpr float kMostVariance = 100;
constexpr float kConfirmScore = 5;  // frames of full evidence
constexpr float kActiveScore = 3;
constexpr float kMostScore = 20;
constexpr float kScoreLoss = 0.03F;  // a frame, while others have the evidence
constexpr float kAttackSeconds = 0.05F;
constexpr float kReleaseSeconds = 0.20F;
constexpr float kActive = 0.2F;
constexpr float kInactive = 0.06F;
constexpr float kForgetSeconds = 20;  // a confirmed talker's memory
constexpr float kForgetCandidateSeconds = 0.5F;
constexpr float kSecondPeak = 0.6F;  // of the first: below, it may be a side lobe
constexpr float kPrimaryMargin = 1.4F;

float turn(float a, float b) { return std::remainder(a - b, 360.0F); }

float wrap(float a) {
  const float r = std::fmod(a, 360.0F);
  return r < 0 ? r + 360.0F : r;
}

}  // namespace

DirectionTracker::DirectionTracker(float hop_seconds) : hop_(hop_seconds) {}

void DirectionTracker::reset() noexcept {
  tracks_.fill({});
  next_id_ = 1;
  primary_id_ = 0;
}

DirectionTracker::Track* DirectionTracker::nearest(float azimuth_deg, float gate_deg) noexcept {
  Track* best = nullptr;
  float least = gate_deg;
  for (Track& t : tracks_) {
    const float away = std::abs(turn(azimuth_deg, t.azimuth_deg));
    if (t.id != 0 && away < least) {
      least = away;
      best = &t;
    }
  }
  return best;
}

void DirectionTracker::correct(Track& track, const SrpMap::Peak& peak, float evidence) noexcept {
  const float gain = track.variance / (track.variance + kPeakVariance / evidence);
  track.azimuth_deg = wrap(track.azimuth_deg + gain * turn(peak.azimuth_deg, track.azimuth_deg));
  track.elevation_deg += 0.5F * gain * (peak.elevation_deg - track.elevation_deg);
  track.variance *= 1 - gain;
}

void DirectionTracker::start(const SrpMap::Peak& peak, float evidence) noexcept {
  Track* slot = nullptr;
  for (Track& t : tracks_) {
    if (t.id == 0) {
      slot = &t;
      break;
    }
    // All slots taken: the weakest silent one gives way.
    if (!t.active && t.id != primary_id_ && (slot == nullptr || t.score < slot->score)) slot = &t;
  }
  if (slot == nullptr) return;
  *slot = {};
  slot->id = next_id_++;
  slot->azimuth_deg = peak.azimuth_deg;
  slot->elevation_deg = peak.elevation_deg;
  slot->variance = kPeakVariance;
  slot->score = evidence;
}

/// Only the strongest peak of a frame adds to a track's score; being second shows that the talker
/// may still be there, no more. Images of one talker in the walls are second most of the time.
void DirectionTracker::age(Track& track, float evidence, bool strongest, float activity) noexcept {
  const float frames = hop_ / kFrame;
  track.variance = std::min(kMostVariance, track.variance + kWalkVariance * frames);
  if (evidence > 0 && strongest) {
    track.score = std::min(kMostScore, track.score + evidence * frames);
  } else {
    track.score *= 1 - kScoreLoss * activity * frames;
  }
  track.idle_s = evidence > 0 ? 0.0F : track.idle_s + hop_;
  const float seconds = evidence > track.activity ? kAttackSeconds : kReleaseSeconds;
  track.activity += (evidence - track.activity) * (1 - std::exp(-hop_ / seconds));
  if (track.score >= kConfirmScore) track.confirmed = true;
  track.active = track.confirmed && track.score > kActiveScore &&
                 track.activity > (track.active ? kInactive : kActive);
  const float patience = track.confirmed ? kForgetSeconds : kForgetCandidateSeconds;
  if (track.idle_s > patience && track.id != primary_id_) track = {};
}

void DirectionTracker::merge() noexcept {
  for (Track& a : tracks_) {
    for (Track& b : tracks_) {
      if (&a == &b || a.id == 0 || b.id == 0) continue;
      if (std::abs(turn(a.azimuth_deg, b.azimuth_deg)) > kMergeDeg) continue;
      // The older one keeps its id and gets the better-founded direction.
      Track& keep = a.id < b.id ? a : b;
      Track& drop = a.id < b.id ? b : a;
      if (drop.score > keep.score) {
        keep.azimuth_deg = drop.azimuth_deg;
        keep.elevation_deg = drop.elevation_deg;
        keep.variance = drop.variance;
      }
      keep.score = std::max(keep.score, drop.score);
      keep.activity = std::max(keep.activity, drop.activity);
      keep.idle_s = std::min(keep.idle_s, drop.idle_s);
      keep.confirmed = keep.confirmed || drop.confirmed;
      keep.active = keep.active || drop.active;
      if (primary_id_ == drop.id) primary_id_ = keep.id;
      drop = {};
    }
  }
}

void DirectionTracker::choose_primary() noexcept {
  const Track* current = primary();
  const Track* best = nullptr;
  for (const Track& t : tracks_) {
    if (t.active && (best == nullptr || t.activity > best->activity)) best = &t;
  }
  if (best == nullptr) return;
  if (current == nullptr || !current->active ||
      best->activity > kPrimaryMargin * current->activity) {
    primary_id_ = best->id;
  }
}

void DirectionTracker::update(std::span<const SrpMap::Peak> peaks, float activity) noexcept {
  std::array<float, kHypotheses> evidence{};
  int strongest = -1;
  if (activity > 0.02F) {
    for (std::size_t i = 0; i < peaks.size(); ++i) {
      const float relative = peaks[i].value / std::max(peaks[0].value, 1e-6F);
      const float strength =
          i == 0 ? activity : activity * (relative - kSecondPeak) / (1 - kSecondPeak);
      if (strength < 0.02F) continue;
      Track* t = nearest(peaks[i].azimuth_deg, kGateDeg);
      if (t == nullptr) {
        // Talkers take turns within words: each is the strongest now and then. What is always
        // second is an image or a side lobe.
        if (i == 0) start(peaks[i], strength);
        continue;
      }
      if (i > 0 && !t->confirmed) continue;
      if (i == 0) strongest = static_cast<int>(t - tracks_.data());
      float& e = evidence[static_cast<std::size_t>(t - tracks_.data())];
      if (e > 0) continue;
      e = strength;
      correct(*t, peaks[i], strength);
    }
  }
  for (std::size_t i = 0; i < kHypotheses; ++i) {
    if (tracks_[i].id != 0) {
      age(tracks_[i], evidence[i], static_cast<int>(i) == strongest, activity);
    }
  }
  merge();
  choose_primary();
}

const DirectionTracker::Track* DirectionTracker::primary() const noexcept {
  for (const Track& t : tracks_) {
    if (t.id != 0 && t.id == primary_id_) return &t;
  }
  return nullptr;
}

}  // namespace conclave::dsp
