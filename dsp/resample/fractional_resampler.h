// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct FractionalResamplerConfig {
  int channels = 1;         ///< 1..64
  int max_in_frames = 480;  ///< most frames that one process() takes, 1..65536
};

/// Resamples by a ratio near 1 that may change with every block: for clocks that drift.
///
/// 64-tap windowed-sinc (Kaiser) in 1024 phases with linear interpolation between neighbouring
/// phases: at least 120 dB SINAD up to 15 kHz at 48 kHz. The read position is kept in 64-bit fixed
/// point, so that it neither drifts nor loses precision. Anti-aliasing is not its job: ratios
/// (out / in) are clamped to 0.9..1.1.
///
/// create() any thread; everything else on the audio thread, without allocation.
class FractionalResampler {
 public:
  static constexpr int kTaps = 64;
  static constexpr int kPhases = 1024;

  static Result<std::unique_ptr<FractionalResampler>> create(
      const FractionalResamplerConfig& config);
  ~FractionalResampler();
  FractionalResampler(const FractionalResampler&) = delete;
  FractionalResampler& operator=(const FractionalResampler&) = delete;

  /// Takes frames of `in` (channels x up to max_in_frames) and writes frames of `out` until either
  /// runs out. `ratio` is output rate over input rate; the step moves linearly from the last
  /// block's to this ratio over the block. `consumed` and `produced` tell how many frames went each
  /// way; what was not consumed must be offered again.
  void process(ConstFrameView in, double ratio, FrameView out, int& consumed,
               int& produced) noexcept;
  /// Input frames that process() must be offered to write `out_frames` at `ratio`.
  int needed(int out_frames, double ratio) const noexcept;
  void reset() noexcept;
  /// Where the next output lies after the next input that was not consumed, in input samples.
  double fraction() const noexcept;
  /// kTaps / 2.
  int latency_frames() const { return kTaps / 2; }

 private:
  class Impl;
  explicit FractionalResampler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::dsp
