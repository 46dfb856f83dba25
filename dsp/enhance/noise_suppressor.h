// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct NoiseSuppressorConfig {
  int sample_rate = 48000;  ///< 16000 or 48000
  int fft_size = 1024;
  int hop = 480;
};

enum class NoiseMethod {
  kClassical,  ///< the statistical estimator alone
  kLearned,  ///< the learned gain where one is given, refined by the estimator; otherwise as above
};

struct NoiseSuppressorParams {
  bool enabled = true;          ///< off: gains ramp to 1, the noise is still tracked
  float max_reduction_db = 24;  ///< 0..40, deepest attenuation of pure noise
  NoiseMethod method = NoiseMethod::kLearned;
  float dereverberation = 0.5F;  ///< 0..2, share of the room's late tail that is taken off; 0: none
};

struct NoiseSuppressorMetrics {
  float speech_probability = 0;  ///< 0..1 for the frame; good enough to gate a level control
  float noise_dbfs = -120;       ///< level of the noise estimate (full-scale sine = -3)
  float snr_db = 0;              ///< of the frame, before suppression
  float reduction_db = 0;        ///< energy taken from this frame
};

/// Single-channel noise suppression behind the beam.
///
/// Noise: minimum mean-square error tracking by speech presence probability (noise_tracker.h). Late
/// reverberation: the power of 40 ms ago times a decay learned from how words end (Lebart, Boucher
/// & Denbigh 2001). Gain: log-spectral amplitude estimator (Ephraim & Malah 1985) on a
/// decision-directed a-priori SNR, weighted by presence (Cohen 2002) that is decided on in bands of
/// +-375 Hz, down to a floor that leaves the noise's own colour: no musical tones and no dead
/// silence between words.
///
/// create(): any thread. The rest: the audio thread.
class NoiseSuppressor {
 public:
  static Result<std::unique_ptr<NoiseSuppressor>> create(const NoiseSuppressorConfig& config);
  ~NoiseSuppressor();
  NoiseSuppressor(const NoiseSuppressor&) = delete;
  NoiseSuppressor& operator=(const NoiseSuppressor&) = delete;

  void set_params(const NoiseSuppressorParams& params) noexcept;
  void reset() noexcept;
  /// `inout` 1 x bins; `gain` bins, what each bin was multiplied by (for shadow components).
  /// `adapt` false (echo or its residual may be in the frame): the noise estimate holds.
  /// A NaN or Inf frame comes out silent and leaves no trace.
  /// `learned`: gain of each bin by the learned mask (LearnedMask::near_gain()), or empty.
  void process(SpectrumView inout, std::span<float> gain, bool adapt = true,
               std::span<const float> learned = {}) noexcept;
  /// Noise power per bin, |X|^2 units of the spectra given. Valid until the next process().
  std::span<const float> noise_power() const noexcept;
  const NoiseSuppressorMetrics& metrics() const noexcept;
  static constexpr int latency_frames() noexcept { return 0; }

 private:
  struct State;
  explicit NoiseSuppressor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
