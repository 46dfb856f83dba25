// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bench/room/scene.h"

namespace conclave::bench::room {

using Response = std::vector<float>;

/// Impulse responses of a shoebox room by the image method (Allen & Berkley, JASA 65(4), 1979) with
/// fractional delays; a source is as loud as 1 at 1 m (amplitude 1 / r).
///
/// The walls' reflection factor is solved so that the decay of the images themselves has the wanted
/// RT60 (Sabine's and Eyring's formulas miss it by up to a third). Images of second and higher
/// order are moved by up to 4 cm, alike for all microphones, against the sweeping echoes of a
/// perfect box (De Sena et al., IEEE/ACM TASLP 23(4), 2015). Above about 4 kHz the late part decays
/// with `rt60_high`. Below 40 Hz nothing comes through: a sum of positive images has no other
/// bound.
class Shoebox {
 public:
  explicit Shoebox(const Scene& scene);
  double reflection() const { return reflection_; }

  /// Responses from a place to each microphone, both relative to the array's middle, all starting
  /// with `lead` samples of additional delay, `gain` linear. All of one length.
  std::vector<Response> responses(Point source, std::span<const Point> microphones, int lead,
                                  double gain) const;

 private:
  void solve_reflection();

  Point size_;
  Point array_at_;
  double rt60_;
  double rt60_high_;
  double speed_of_sound_;
  int sample_rate_;
  std::uint64_t seed_;
  double tail_seconds_;
  double reflection_ = 0;
};

/// RT60 in seconds from a response's energy decay (Schroeder), fitted from -5 to -25 dB.
double reverberation_time(std::span<const float> response, int sample_rate);

}  // namespace conclave::bench::room
