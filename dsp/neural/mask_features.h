// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "base/frame_view.h"

namespace conclave::dsp {

/// The bands in which the learned mask hears and answers: triangles over frequency that add up to
/// one, narrow (80 Hz apart) where pitch is, a tenth of their frequency above, up to 8 kHz. The
/// same bands at every sampling rate, so that one set of weights serves 16 and 48 kHz.
///
/// The constructor allocates; everything else is for the audio thread.
class MaskBands {
 public:
  static constexpr int kBands = 36;
  static constexpr float kHighestHz = 8000.0F;

  MaskBands() = default;
  /// Of spectra of `fft_size` at `sample_rate`.
  MaskBands(int sample_rate, int fft_size);

  /// Bins that the bands cover, from 0; bins above belong to no band.
  int bins() const { return bins_; }
  /// bands[b] = sum of weight * power over the bins; power: at least bins() values.
  void sum(const float* power, std::span<float> bands) const noexcept;
  /// Gains of bands to gains of bins by linear interpolation; beyond bins() the last band's.
  void spread(std::span<const float> bands, std::span<float> gain) const noexcept;
  /// Centre of a band in Hz.
  static float centre_hz(int band) noexcept;

 private:
  struct Range {
    int first = 0;
    int count = 0;
    int offset = 0;  // into weights_
  };
  int bins_ = 0;
  std::vector<Range> ranges_;
  std::vector<float> weights_;
  std::vector<int> lower_;      // of a bin: the band below it
  std::vector<float> upwards_;  // of a bin: share of the band above
};

/// What the learned mask is told about a frame: for each band the logarithm of the power of the
/// canceller's error, of its echo estimate and of the far end, and how coherent the estimate is
/// with the error and with the microphone. Levels are true (full scale 1), the same at every
/// sampling rate.
///
/// Spectra come from StftAnalysis with a hop of 10 ms. Values that are not finite or absurdly large
/// count as silence. The constructor allocates; everything else is for the audio thread.
class MaskFeatures {
 public:
  static constexpr int kKinds = 5;
  static constexpr int kCount = kKinds * MaskBands::kBands;

  MaskFeatures() = default;
  MaskFeatures(int sample_rate, int hop);

  void reset() noexcept;
  /// error: bins of the spectrum. echo and far: as many, or empty where there is no far end.
  /// Returns kCount features, valid until the next call.
  std::span<const float> process(std::span<const std::complex<float>> error,
                                 std::span<const std::complex<float>> echo,
                                 std::span<const std::complex<float>> far) noexcept;
  const MaskBands& bands() const { return bands_; }
  /// Power of the bands of one spectrum, full scale 1.
  void band_power(std::span<const std::complex<float>> spectrum, std::span<float> out) noexcept;

 private:
  enum Row { kError, kEcho, kMic, kErrorEchoRe, kErrorEchoIm, kMicEchoRe, kMicEchoIm, kRows };
  void load(std::span<const std::complex<float>> spectrum, float* re, float* im) noexcept;
  void power(const float* re, const float* im, float* out) const noexcept;
  void log_bands(const float* power, float* out) noexcept;
  void coherence(int auto_row, int cross_row, float* out) noexcept;

  MaskBands bands_;
  float scale_ = 1;     // spectrum to full scale, amplitude
  FrameBuffer smooth_;  // kRows x bins
  FrameBuffer work_;    // error, echo and far, real and imaginary, and two of scratch
  FrameBuffer features_;
  FrameBuffer sums_;
};

}  // namespace conclave::dsp
