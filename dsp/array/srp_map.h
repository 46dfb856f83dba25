// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/frame_view.h"
#include "dsp/array/array_geometry.h"

namespace conclave::dsp {

/// The steered response of an array as a function of direction, by way of the lag domain: phase
/// transform cross-spectra of microphone pairs -> cross-correlations on a fixed grid of lags
/// (a direct transform of the few bins and lags that matter, cheaper than inverse FFTs) -> sums
/// over pairs. Correlations are smoothed over time, which, everything being linear, smooths the
/// response in every direction at once; looking at another direction later costs one lookup a pair.
///
/// A part of DirectionFinder. The constructor allocates, nothing else does.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the compiler's own name, in its copy of an array
class SrpMap {
 public:
  struct Peak {
    float azimuth_deg = 0;
    float elevation_deg = 0;
    float value = 0;  ///< -1..1, 1: a plane wave in every bin of weight
  };

  SrpMap() = default;
  /// Bins first_bin..first_bin + bins of the spectra are used; `keep_fast`, `keep_slow`: smoothing
  /// factors per frame of the two maps.
  SrpMap(const Geometry& geometry, int sample_rate, int fft_size, int first_bin, int bins,
         float keep_fast, float keep_slow);

  enum Which { kFast = 0, kSlow = 1 };
  static constexpr int kAzimuths = 72;
  static constexpr int kElevations = 2;

  void reset() noexcept;
  /// ring: all bins; weight: one value 0..1 for each used bin.
  void update(ConstSpectrumView ring, std::span<const float> weight) noexcept;
  /// Coarse scan; then the strongest peaks at least `apart_deg` from each other, refined. Returns
  /// how many were written to `peaks`, strongest first.
  int find_peaks(Which which, float apart_deg, std::span<Peak> peaks) noexcept;
  /// Response in one direction, interpolated.
  float value(Which which, float azimuth_deg, float elevation_deg) const noexcept;
  /// How much weight the map rests on: frames' mean weight, smoothed, 0..1.
  float support(Which which) const noexcept;
  /// False when the microphones span no plane: azimuths cannot be told.
  bool usable() const noexcept { return usable_; }

 private:
  struct Pair {
    int a = 0, b = 0;
    float x = 0, y = 0, z = 0;  // (p_a - p_b) / c in grid steps
  };
  float scale(Which which) const noexcept;
  void refine(Which which, Peak& peak) const noexcept;

  int first_bin_ = 0;
  int bins_ = 0;
  int half_ = 0;    // lags of one sign, a multiple of kBlock, 0 included
  int middle_ = 0;  // index of lag 0 in a row of maps_
  bool usable_ = false;
  float keep_[2] = {0, 0};
  float weight_[2] = {0, 0};
  std::vector<Pair> pairs_;
  FrameBuffer tables_;               // (2 * bins) x half: cos and sin rows
  FrameBuffer maps_[2];              // pairs x (2 * half + 1)
  FrameBuffer phases_;               // (2 * microphones) x bins
  FrameBuffer cross_;                // 2 x bins
  std::vector<std::uint16_t> grid_;  // direction-major: lag index of each pair
  std::vector<float> coarse_;        // kElevations x kAzimuths
};

}  // namespace conclave::dsp
