// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "bench/room/random.h"

namespace conclave::bench::room {

/// What a small loudspeaker does to a signal before the room hears it: no deep bass (second-order
/// high-pass at 140 Hz), soft clipping with a little asymmetry (even harmonics), and on request rub
/// and buzz: a rattle while the cone is far out. No allocation.
class Loudspeaker {
 public:
  /// drive: y = tanh(drive x) / drive, 0 = linear; rub 0..1.
  Loudspeaker(int sample_rate, double drive, double rub, std::uint64_t seed);
  void process(std::span<const float> in, std::span<float> out) noexcept;

 private:
  double b0_, b1_, b2_, a1_, a2_;
  double x1_ = 0, x2_ = 0, y1_ = 0, y2_ = 0;
  double excursion_pole_;
  double excursion_ = 0;
  double drive_;
  double rub_;
  double rattle_ = 0;
  Random random_;
};

}  // namespace conclave::bench::room
