// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/array/array_geometry.h"

namespace conclave::dsp {

struct SatelliteMixerConfig {
  int sample_rate = 48000;
  int fft_size = 1024;
  int hop = 480;
  int satellites = 0;  ///< 0..kMaxSatellites
  float fade_ms = 60;
  float hysteresis_db = 3;  ///< a source must be that much better before it takes over
};

/// Index 0 is the beam, 1 + s is satellite s.
struct SatelliteMixerMetrics {
  std::int32_t selected = 0;
  std::array<float, 1 + kMaxSatellites> share{};     ///< present gain of each, powers sum to 1
  std::array<float, 1 + kMaxSatellites> snr_db{};    ///< smoothed speech-to-noise ratio
  std::array<float, 1 + kMaxSatellites> match_db{};  ///< level correction towards the beam
};

/// Chooses between the ring's beam and the satellites by the speech-to-noise ratio of each in the
/// 300..4000 Hz band and cross-fades. A satellite that is not synced has no share: it is faded out
/// at once (10 ms) and cannot be chosen. Satellites are matched in level to the beam's noise floor
/// corrected speech level, so that a change is not heard as a jump.
///
/// All functions but create(): the audio thread.
class SatelliteMixer {
 public:
  static Result<std::unique_ptr<SatelliteMixer>> create(const SatelliteMixerConfig& config);
  ~SatelliteMixer();
  SatelliteMixer(const SatelliteMixer&) = delete;
  SatelliteMixer& operator=(const SatelliteMixer&) = delete;

  void reset() noexcept;
  /// beam 1 x bins, satellites S x bins (after echo cancellation), synced: S flags, out 1 x bins
  /// (may be the beam's memory). `adapt` false (only the far end talks) holds the choice.
  void process(ConstSpectrumView beam, ConstSpectrumView satellites, std::span<const bool> synced,
               bool adapt, SpectrumView out) noexcept;
  /// The last process()' gains on other spectra (echo estimate, shadow components).
  void apply(ConstSpectrumView beam, ConstSpectrumView satellites, SpectrumView out) const noexcept;
  const SatelliteMixerMetrics& metrics() const noexcept;
  static constexpr int latency_frames() noexcept { return 0; }

 private:
  struct State;
  explicit SatelliteMixer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
