// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dsp/array/srp_map.h"

namespace conclave::dsp {

/// Follows talkers from the peaks of each frame: nearest-neighbour association inside a gate,
/// a scalar Kalman filter for each azimuth (a talker walks: random walk), and a score of evidence
/// that decides on birth, confirmation, activity and death (the sequential test of Blackman &
/// Popoli, "Modern Tracking Systems", 1999, in its simplest form). Eight hypotheses compete; up to
/// four that are confirmed are told. Silent talkers are remembered for a while and come back under
/// their id.
///
/// A part of DirectionFinder. Allocates nothing.
class DirectionTracker {
 public:
  struct Track {
    std::int32_t id = 0;  ///< 0: free slot
    float azimuth_deg = 0;
    float elevation_deg = 0;
    float variance = 0;  ///< of the azimuth, degrees^2
    float score = 0;     ///< evidence, in frames
    float activity = 0;  ///< 0..1, smoothed evidence
    float idle_s = 0;    ///< since the last evidence
    bool confirmed = false;
    bool active = false;
  };
  static constexpr std::size_t kHypotheses = 8;

  explicit DirectionTracker(float hop_seconds = 0.01F);
  void reset() noexcept;
  /// peaks: strongest first; activity: 0..1, how sure it is that someone speaks in this frame;
  /// 0 with no peaks lets everything age.
  void update(std::span<const SrpMap::Peak> peaks, float activity) noexcept;
  const std::array<Track, kHypotheses>& tracks() const noexcept { return tracks_; }
  /// The talker to listen to: the one with the most activity, with hysteresis; null before the
  /// first.
  const Track* primary() const noexcept;

 private:
  Track* nearest(float azimuth_deg, float gate_deg) noexcept;
  void correct(Track& track, const SrpMap::Peak& peak, float evidence) noexcept;
  void start(const SrpMap::Peak& peak, float evidence) noexcept;
  void age(Track& track, float evidence, bool strongest, float activity) noexcept;
  void merge() noexcept;
  void choose_primary() noexcept;

  float hop_ = 0.01F;
  std::array<Track, kHypotheses> tracks_{};
  std::int32_t next_id_ = 1;
  std::int32_t primary_id_ = 0;
};

}  // namespace conclave::dsp
