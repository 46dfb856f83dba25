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
