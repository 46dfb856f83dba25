// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <Eigen/Core>
#include <complex>
#include <span>
#include <vector>

#include "dsp/array/array_geometry.h"

namespace conclave::dsp {

/// Designs superdirective weights of one array at one frequency for many looks: the eigenvectors
/// of the diffuse field's coherence are found once, so that loading and solving cost O(M^2) a look.
/// Allocates; any thread.
class SuperdirectiveDesigner {
 public:
  SuperdirectiveDesigner(const std::vector<Position>& microphones, double frequency_hz,
                         double speed_of_sound);

  /// Weights w with w^H a(look) = 1 and a white-noise gain of at least min(min_wng_db, 10 log10 M).
  ///
  /// `spread_deg` > 0 widens the main lobe: instead of the gain towards one direction, the mean
  /// power gain over looks within +-spread in azimuth and elevation is maximised against the loaded
  /// diffuse field (a few power iterations from the MVDR solution). Above a few kHz a ring's lobe
  /// is narrower than the error of any direction finder, and a talker beside it would sound dull.
  void weights(double azimuth_deg, double elevation_deg, double min_wng_db, double spread_deg,
               std::span<std::complex<double>> out) const;
  /// The plain MVDR solution for any look (unit vector).
  void weights(const Position& look, double min_wng_db, std::span<std::complex<double>> out) const;

 private:
  Eigen::VectorXcd steer(const Position& look) const;
  double loading(const Eigen::VectorXcd& steering, double min_wng_db) const;
  Eigen::VectorXcd solve(const Eigen::VectorXcd& v, double load) const;

  std::vector<Position> microphones_;
  double frequency_hz_;
  double speed_of_sound_;
  Eigen::MatrixXd vectors_;
  Eigen::VectorXd values_;
};

}  // namespace conclave::dsp
