// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

namespace conclave::bench::metrics {

/// Whole recordings, one channel, full scale +-1; double, because a judge must not add its own
/// rounding to what it measures.
using Signal = std::vector<double>;
using SignalView = std::span<const double>;
/// One flag for each frame of 20 ms.
using FrameMask = std::vector<bool>;

inline constexpr int kFramesPerSecond = 50;

/// 10 log10 with a floor of -120 dB.
double power_db(double power);
double energy(SignalView x);

/// Mean power of each whole frame of `frame` samples.
std::vector<double> frame_powers(SignalView x, int frame);

/// Frames within `threshold_db` of the loud ones (the 95th percentile of all that are not silent).
FrameMask active_frames(SignalView x, int frame, double threshold_db);
/// The mask spread by `before` frames to the left and `after` to the right.
FrameMask spread(const FrameMask& mask, int before, int after);
/// Samples of the frames that are set, one after the other.
Signal pick(SignalView x, const FrameMask& mask, int frame);
double seconds_of(const FrameMask& mask);

/// Samples by which `late` comes after `early` (0..max_lag - 1), found by correlation, and how well
/// they agree there (0..1, sign ignored).
struct Lag {
  int samples = 0;
  double agreement = 0;
};
Lag find_lag(SignalView early, SignalView late, int max_lag);

/// The best FIR filter of `taps` taps, half of them acausal, that makes y from x (least squares
/// over the whole signals), applied to x. Same length as x and y.
Signal fit(SignalView x, SignalView y, int taps);

/// Rational resampling with a Kaiser-windowed (beta 5) low-pass of 10 zero crossings a side, no
/// delay; rates are reduced by their common divisor.
Signal resample(SignalView x, int from_rate, int to_rate);

}  // namespace conclave::bench::metrics
