// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct ComfortNoiseConfig {
  int fft_size = 1024;
  int hop = 480;  ///< window is 2 * hop, sqrt-Hann at synthesis (dsp/transform/stft.h)
};

struct ComfortNoiseMetrics {
  float added_dbfs = -120;  ///< level of what the last frame got
};

/// Fills what a suppressor took away with noise of the room's own spectrum, so that the line does
/// not go dead or pump while the far end talks.
///
/// Each bin gets a random phase and the power noise * (1 - gain^2), corrected for the overlap of
/// independent frames. The generator is an integer one with a fixed seed: two runs are equal bit
/// for bit. Put it right behind the residual suppressor and before the noise suppressor: then the
/// latter treats room noise and comfort noise alike.
///
/// create(): any thread. The rest: the audio thread.
class ComfortNoise {
 public:
  static Result<std::unique_ptr<ComfortNoise>> create(const ComfortNoiseConfig& config);
  ~ComfortNoise();
  ComfortNoise(const ComfortNoise&) = delete;
  ComfortNoise& operator=(const ComfortNoise&) = delete;

  /// Starts the generator anew.
  void reset() noexcept;
  /// `inout` 1 x bins; `gain` bins in 0..1, what the suppressor multiplied by; `noise_power` bins,
  /// of the room (NoiseSuppressor::noise_power()). Values that are not finite count as "add none".
  void process(SpectrumView inout, std::span<const float> gain,
               std::span<const float> noise_power) noexcept;
  ComfortNoiseMetrics metrics() const noexcept;
  static constexpr int latency_frames() noexcept { return 0; }

 private:
  struct State;
  explicit ComfortNoise(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
