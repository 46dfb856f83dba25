// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/frame_view.h"
#include "dsp/array/array_geometry.h"

namespace conclave::dsp::simulation {

using Signal = std::vector<float>;
using Recording = std::vector<Signal>;  // one signal for each microphone

/// Rings as in products: `count` microphones on a circle in the plane z = 0.
Geometry ring(int count, double radius_m);
/// Seven on 4 cm and one in the middle.
Geometry small_ring_with_centre();

/// Something like speech: voiced syllables (a pulse train through moving resonances) and hisses,
/// with pauses, after 0.4 s of silence. RMS about 0.05 while it talks. `talking`, when given, gets
/// one flag per 10 ms.
Signal speech(int rate, double seconds, std::uint32_t seed, std::vector<bool>* talking = nullptr);
/// Noise with the slope of ventilation (first-order low-pass at 500 Hz), RMS 1.
Signal hum(int rate, std::size_t samples, std::uint32_t seed);

struct Room {
  double x = 6.8, y = 5.2, z = 2.7;
  double rt60_s = 0.6;
  Position centre{3.2, 2.7, 0.8};  ///< of the array
};
/// Impulse responses by the image method (Allen & Berkley 1979), direct sound first. `talker` is
/// relative to the array's centre. rt60_s = 0: the direct sound alone.
Recording impulse_responses(const Room& room, const Geometry& array, const Position& talker,
                            int rate);
/// Signal through each response, as long as the signal.
Recording convolve(const Signal& signal, const Recording& responses);
/// A diffuse field: independent noise from many directions, RMS 1 on average.
Recording diffuse(const Geometry& array, int rate, std::size_t samples, std::uint32_t seed);

double power(const Recording& r);
/// a += gain * b.
void add(Recording& a, const Recording& b, double gain);
Position at(double azimuth_deg, double elevation_deg, double distance_m);
double turn(double a_deg, double b_deg);

}  // namespace conclave::dsp::simulation
