// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/array/array_geometry.h"

namespace conclave::dsp {

struct BeamBankConfig {
  Geometry geometry;
  int sample_rate = 48000;
  int fft_size = 1024;
  int hop = 480;
  int beams = 72;            ///< looks, equally spaced in azimuth, 1..180
  float elevation_deg = 20;  ///< where seated heads are, seen from a table
  float min_wng_db = -6;     ///< white-noise gain that no bin falls below
  float fade_ms = 50;        ///< from one beam to another
};

struct BeamBankMetrics {
  std::int32_t beam = 0;  ///< the look being faded to
  float azimuth_deg = 0;  ///< of that look
  float fade = 1;         ///< 0..1, 1: arrived
};

/// Weights for a look, for inspection: response is w^H x.
struct BeamWeights {
  std::vector<double> frequencies_hz;
  Position look;                              ///< unit vector
  std::vector<std::complex<double>> weights;  ///< frequencies x microphones
};

/// A bank of fixed superdirective beams (see superdirective_weights()), computed once in create().
/// The output cross-fades between beams by ramping the weights themselves, so that it stays one
/// linear filter at each moment and apply() can repeat it on other spectra.
/// One microphone is a valid array: the beam is that microphone.
///
/// create(), export_*: any thread, allocate. The rest: the audio thread.
class BeamBank {
 public:
  static Result<std::unique_ptr<BeamBank>> create(const BeamBankConfig& config);
  ~BeamBank();
  BeamBank(const BeamBank&) = delete;
  BeamBank& operator=(const BeamBank&) = delete;

  void reset() noexcept;
  /// `ring`: microphones x bins; `out`: 1 x bins. Steps the fade once towards the beam nearest to
  /// `azimuth_deg` (any angle; NaN keeps the beam). Hysteresis: half a beam's spacing + 20 %.
  /// Bins in which a microphone is NaN or Inf come out as 0.
  void process(ConstSpectrumView ring, float azimuth_deg, SpectrumView out) noexcept;
  /// The same weights as the last process() used, on other spectra of the same shape.
  void apply(ConstSpectrumView other, SpectrumView out) const noexcept;

  BeamBankMetrics metrics() const noexcept;
  static constexpr int latency_frames() noexcept { return 0; }
  int beams() const noexcept;
  float beam_azimuth_deg(int beam) const noexcept;

  /// The weights in use now, at the bins' frequencies. Call it when the audio thread rests.
  BeamWeights export_current() const;
  /// The bank's weights of one beam.
  BeamWeights export_beam(int beam) const;

 private:
  struct State;
  explicit BeamBank(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::dsp
