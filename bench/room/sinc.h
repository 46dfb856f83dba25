// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "base/frame_view.h"

namespace conclave::bench::room {

/// A Kaiser-windowed sinc tabulated at fractions of a sample, for fractional delays and resampling.
class SincTable {
 public:
  /// 2 * half taps; `cutoff` relative to Nyquist; `beta` of the window.
  SincTable(int half, int phases, double cutoff = 1.0, double beta = 9.0);
  int half() const { return half_; }
  int taps() const { return 2 * half_; }
  int phases() const { return phases_; }
  /// Taps for the value at `fraction` in [0, 1] after sample 0, to be multiplied with samples
  /// 1 - half .. half. Nearest tabulated phase.
  std::span<const float> nearest(double fraction) const;
  /// The same, interpolated between phases.
  void interpolated(double fraction, std::span<float> taps) const;

 private:
  int half_;
  int phases_;
  std::vector<float> table_;  // (phases + 1) x taps
};

/// Offline sample-rate conversion of a whole signal, aligned (no delay).
std::vector<float> resample(std::span<const float> in, int from_rate, int to_rate);

/// One microphone on a card whose clock runs at (1 + ppm / 1e6) times the room's: takes blocks of
/// room time and gives what that card would have sampled, a few more or fewer. Independent of the
/// phone's own resampler, so that neither can hide the other's fault. Allocates in the constructor.
class ClockSkew {
 public:
  ClockSkew(double ppm, int max_block);
  void set_ppm(double ppm) noexcept { step_ = 1.0 / (1.0 + ppm * 1e-6); }
  /// Largest count of samples that a block can yield.
  static int max_output(int block) { return block + block / 500 + 2; }
  /// Returns the samples written to `out`.
  int process(std::span<const float> in, std::span<float> out) noexcept;
  /// Room samples by which the output is late.
  int delay_frames() const { return kHalf; }

 private:
  static constexpr int kHalf = 24;
  SincTable table_;
  std::vector<float> history_;  // the last 2 * kHalf samples, then the block
  std::vector<float> taps_;
  double step_;
  double next_ = 0;  // of the next output sample, counted from the block's first sample - kHalf
};

}  // namespace conclave::bench::room
