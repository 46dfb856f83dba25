// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct ResidualSuppressorConfig {
  int sample_rate = 48000;  ///< 16000 or 48000
  int hop = 480;
  int bins = 513;  ///< of StftAnalysis for this hop
};

struct ResidualSuppressorParams {
  bool enabled = true;          ///< ramps to gain 1 when false
  float strength = 1;           ///< 0..2: factor on the residual echo estimate (amplitude)
  float max_reduction_db = 60;  ///< the least gain of a bin
};

struct ResidualSuppressorMetrics {
  bool far_active = false;
  float near_probability = 0;     ///< 0..1 that a near talker is in this block
  float echo_likeness = 0;        ///< 0..1 that the error's envelope follows the far end's
  float leakage_db = 0;           ///< residual echo over echo estimate, mean of the speech band
  float mean_gain_db = 0;         ///< power-weighted gain of this block
  float residual_echo_db = -120;  ///< estimated residual echo before suppression, dBFS
};

/// What the learned mask (dsp/neural) says about a block.
struct LearnedEcho {
  std::span<const float>
      gain{};                  ///< of each bin, 0..1: takes echo and leaves the rest; empty: none
  float near_probability = 0;  ///< 0..1
};

/// Suppresses the echo which the linear canceller leaves, behind the beam.
///
/// The residual echo's power in each bin is the sum of two parts: leakage, a factor on the power of
/// the echo estimate (after the decay of the room), and distortion, a factor on far-end power
/// spread over frequency (harmonics of the loudspeaker, late reverberation, and all echo before the
/// filter has converged). Both factors follow a low quantile of what is measured, in the log
/// domain, and rise only while nobody near talks. How far the speech band stands above the
/// prediction is the near-end probability; it turns over-subtraction down, so that in double talk
/// the near talker keeps his spectrum. Gains are smoothed over time and frequency.
///
/// All spectra are one STFT block of the same hop (StftAnalysis): `error` and `echo_estimate` are
/// the canceller's outputs after the same beamformer weights; `far` is the reference.
/// create() any thread; everything else on the audio thread, without allocation. Adds no latency.
class ResidualSuppressor {
 public:
  static Result<std::unique_ptr<ResidualSuppressor>> create(const ResidualSuppressorConfig& config);
  ~ResidualSuppressor();
  ResidualSuppressor(const ResidualSuppressor&) = delete;
  ResidualSuppressor& operator=(const ResidualSuppressor&) = delete;

  void set_params(const ResidualSuppressorParams& params) noexcept;
  void reset() noexcept;
  /// The echo path has changed: what was learned about the residual echo is void, and for half a
  /// second everything is held to be echo, as at the start.
  void path_changed() noexcept;
  /// error, echo_estimate, far: 1 x bins. inout: 1 x bins, is multiplied by the gain (may be
  /// `error` itself). gain: bins values 0..1, for comfort noise and metering. The gain never
  /// contains NaN, whatever comes in. learned: what the learned mask says about this block; it
  /// counts while the far end sounds and a moment after, and not at all otherwise.
  void process(ConstSpectrumView error, ConstSpectrumView echo_estimate, ConstSpectrumView far,
               SpectrumView inout, std::span<float> gain, const LearnedEcho& learned = {}) noexcept;
  /// Power of the comfort noise that belongs where the gain took the room's noise away, bins
  /// values: minimum statistics of the error, learned while the far end talks as well. Nothing
  /// while a near talker is there, whom it would only cover.
  std::span<const float> comfort_power() const noexcept;
  ResidualSuppressorMetrics metrics() const noexcept;
  int latency_frames() const { return 0; }

 private:
  class Impl;
  explicit ResidualSuppressor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::dsp
