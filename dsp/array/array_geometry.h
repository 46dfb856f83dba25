// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace conclave::dsp {

inline constexpr int kMaxRingMicrophones = 16;
inline constexpr int kMaxSatellites = 4;

/// Metres, in the phone's own frame: origin in the middle of the ring, z up, azimuth counted
/// counter-clockwise from +x.
struct Position {
  double x = 0;
  double y = 0;
  double z = 0;
};

/// What a profile tells about an array. Control plane only (vectors); blocks copy what they need.
struct Geometry {
  std::vector<Position> ring;                       ///< in channel order, 1..16
  std::vector<std::optional<Position>> satellites;  ///< empty: position unknown
  double speed_of_sound = 343.0;                    ///< m/s
};

/// Refuses what no array can be: no or too many microphones, coordinates that are not finite or
/// further than 2 m from the origin, two microphones at one place, a speed of sound outside
/// 300..400 m/s.
Status check_geometry(const Geometry& geometry);

/// Unit vector towards a direction; elevation counts from the ring's plane upwards.
Position direction_vector(double azimuth_deg, double elevation_deg);

/// Plane wave from `look` (unit vector): a_m = exp(j 2 pi f p_m.look / c), i.e. the phase of each
/// microphone against the origin. A microphone nearer to the talker leads.
void far_field_steering(const std::vector<Position>& microphones, const Position& look,
                        double frequency_hz, double speed_of_sound,
                        std::span<std::complex<double>> out);

/// Spherical wave from `source` (metres): phase and 1/r amplitude against the origin. A source
/// nearer than 1 cm to the origin or to a microphone counts as 1 cm away.
void near_field_steering(const std::vector<Position>& microphones, const Position& source,
                         double frequency_hz, double speed_of_sound,
                         std::span<std::complex<double>> out);

/// Coherence of a spherically isotropic field: sin(kd)/(kd), row-major M x M.
void diffuse_coherence(const std::vector<Position>& microphones, double frequency_hz,
                       double speed_of_sound, std::span<double> out);

/// 10 log10 |w^H a|^2 / (w^H Gamma w): gain against an isotropic field, `a` towards the look.
double directivity_index_db(std::span<const std::complex<double>> weights,
                            const std::vector<Position>& microphones, const Position& look,
                            double frequency_hz, double speed_of_sound);

/// 10 log10 |w^H a|^2 / (w^H w): gain against microphone noise; negative means it is amplified.
double white_noise_gain_db(std::span<const std::complex<double>> weights,
                           const std::vector<Position>& microphones, const Position& look,
                           double frequency_hz, double speed_of_sound);

/// Superdirective weights: MVDR against the isotropic field with as little diagonal loading as
/// keeps the white-noise gain at or above `min_wng_db` (Bitzer & Simmer in Brandstein & Ward,
/// "Microphone Arrays", 2001; loading solved per frequency by bisection). w^H a(look) = 1.
/// The bound is capped at what the array can give (10 log10 M, delay-and-sum).
void superdirective_weights(const std::vector<Position>& microphones, const Position& look,
                            double frequency_hz, double speed_of_sound, double min_wng_db,
                            std::span<std::complex<double>> out);

}  // namespace conclave::dsp
