// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/array/array_geometry.h"

namespace conclave::dsp {

struct DirectionFinderConfig {
  Geometry geometry;
  int sample_rate = 48000;  ///< 16000 or 48000
  int fft_size = 1024;      ///< of the spectra handed to process(): 1024 at 48 kHz, 512 at 16 kHz
  int hop = 480;            ///< samples between two process() calls
};

struct DirectionFinderParams {
  bool fixed = false;           ///< report fixed_azimuth_deg instead of the strongest talker
  float fixed_azimuth_deg = 0;  ///< [0, 360)
  float fixed_elevation_deg = 25;
};

/// A talker being followed.
struct DirectionTrack {
  std::int32_t id = 0;      ///< > 0, never used again until reset()
  float azimuth_deg = 0;    ///< [0, 360)
  float elevation_deg = 0;  ///< [0, 90]
  float activity = 0;       ///< 0..1, how likely this talker talks now
  bool active = false;      ///< held to be talking: activity with hysteresis
};

struct DirectionMetrics {
  float azimuth_deg = 0;  ///< of the talker the beam should look at; holds in pauses
  float elevation_deg = 25;
  float activity = 0;    ///< 0..1, speech from anywhere in this frame
  float confidence = 0;  ///< 0..1, how sure the direction is
  std::int32_t track_count = 0;
  std::array<DirectionTrack, 4> tracks{};  ///< strongest first
  bool valid = false;                      ///< false until a first direction was found
};

/// Finds and follows up to four talkers from the ring's spectra.
///
/// Steered response power with phase transform (DiBiase 2000) over bins of 300 Hz to about 5 kHz,
/// each weighted by how far it stands above noise and reverberation (onset_weight.h), scanned over
/// 72 azimuths x 2 elevations, refined around the peaks (srp_map.h) and followed by Kalman tracks
/// with birth and death (direction_tracker.h). What counts as speech is learned from the noise's
/// own response: there is no prior to tune for a room. With fewer than three microphones, or all in
/// one spot, no direction can be told: valid stays false and activity still works.
///
/// process(), reset(), set_params(), metrics(): the audio thread. O(1) memory and fixed cost.
class DirectionFinder {
 public:
  static Result<std::unique_ptr<DirectionFinder>> create(const DirectionFinderConfig& config);
  ~DirectionFinder();
  DirectionFinder(const DirectionFinder&) = delete;
  DirectionFinder& operator=(const DirectionFinder&) = delete;

  void set_params(const DirectionFinderParams& params) noexcept;
  void reset() noexcept;
  /// `ring`: microphones x (fft_size/2 + 1), after echo cancellation. `adapt` false (only the far
  /// end talks): everything holds, activity falls. A frame with a NaN or Inf counts as adapt=false.
  void process(ConstSpectrumView ring, bool adapt) noexcept;
  const DirectionMetrics& metrics() const noexcept;
  /// The estimate lags the sound by smoothing only; the audio is not delayed.
  static constexpr int latency_frames() noexcept { return 0; }

 private:
  struct State;
  explicit DirectionFinder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
