// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

namespace conclave::dsp {

/// Clock of the reference against the microphone's, from how the echo's delay moves.
///
/// Readings of the delay are averaged over half a second each; a line through the last twenty
/// seconds gives the drift, and what the points scatter around it says how far it can be trusted.
/// Audio thread, no allocation, deterministic.
class EchoDrift {
 public:
  /// `hop_seconds`: between calls of advance().
  explicit EchoDrift(double hop_seconds) : hop_seconds_(hop_seconds) {}
  /// Time passes; call once a block.
  void advance() noexcept;
  /// A reading of the delay at this time, in seconds.
  void add(double delay) noexcept;
  /// The delay has jumped by so many seconds: the clocks are what they were.
  void jump(double seconds) noexcept;
  void reset() noexcept { *this = EchoDrift(hop_seconds_); }

  bool known() const noexcept { return known_; }
  /// Change of the delay in millionths of a second each second: positive = the echo comes later and
  /// later. 0 while unknown.
  double ppm() const noexcept { return known_ ? ppm_ : 0.0; }
  /// Standard error of ppm().
  double error_ppm() const noexcept { return error_ppm_; }

 private:
  static constexpr int kPoints = 40;
  struct Point {
    double time = 0;
    double delay = 0;
  };
  void close_point() noexcept;
  void fit() noexcept;

  double hop_seconds_;
  std::array<Point, kPoints> points_{};
  int count_ = 0;
  int next_ = 0;
  double now_ = 0;
  double opened_ = 0;
  double sum_time_ = 0;
  double sum_delay_ = 0;
  int readings_ = 0;
  bool known_ = false;
  double ppm_ = 0;
  double error_ppm_ = 0;
};

}  // namespace conclave::dsp
