// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/superdirective.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace conclave::dsp {

SuperdirectiveDesigner::SuperdirectiveDesigner(const std::vector<Position>& microphones,
                                               double frequency_hz, double speed_of_sound)
    : microphones_(microphones), frequency_hz_(frequency_hz), speed_of_sound_(speed_of_sound) {
  const auto m = static_cast<Eigen::Index>(microphones.size());
  std::vector<double> coherence(microphones.size() * microphones.size());
  diffuse_coherence(microphones, frequency_hz, speed_of_sound, coherence);
  const Eigen::MatrixXd field = Eigen::Map<const Eigen::MatrixXd>(coherence.data(), m, m);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(field);
  vectors_ = eigen.eigenvectors();
  values_ = eigen.eigenvalues().cwiseMax(0.0);  // rounding can leave -1e-16
}

Eigen::VectorXcd SuperdirectiveDesigner::steer(const Position& look) const {
  Eigen::VectorXcd a(values_.size());
  far_field_steering(microphones_, look, frequency_hz_, speed_of_sound_,
                     {a.data(), static_cast<std::size_t>(a.size())});
  return a;
}

double SuperdirectiveDesigner::loading(const Eigen::VectorXcd& steering, double min_wng_db) const {
  // In the eigenbasis both forms are sums: WNG(e) = (sum b/(l+e))^2 / sum b/(l+e)^2 with
  // b = |v^T a|^2, which only grows with the loading e. Bisection on log10 e finds the least.
  const Eigen::VectorXd b = (vectors_.transpose() * steering).cwiseAbs2();
  const double best = 10 * std::log10(static_cast<double>(values_.size()));
  const double wanted = std::pow(10.0, std::min(min_wng_db, best - 0.05) / 10);
  const auto wng = [&](double e) {
    const Eigen::ArrayXd d = values_.array() + e;
    const double s = (b.array() / d).sum();
    return s * s / (b.array() / (d * d)).sum();
  };
  double low = -8;
  double high = 4;
  if (wng(std::pow(10.0, low)) >= wanted) return std::pow(10.0, low);
  for (int i = 0; i < 24; ++i) {
    const double middle = 0.5 * (low + high);
    (wng(std::pow(10.0, middle)) >= wanted ? high : low) = middle;
  }
  return std::pow(10.0, high);
}

Eigen::VectorXcd SuperdirectiveDesigner::solve(const Eigen::VectorXcd& v, double load) const {
  const Eigen::VectorXcd inside = vectors_.transpose() * v;
  return vectors_ * (inside.array() / (values_.array() + load)).matrix();
}

void SuperdirectiveDesigner::weights(const Position& look, double min_wng_db,
                                     std::span<std::complex<double>> out) const {
  const Eigen::VectorXcd a = steer(look);
  Eigen::VectorXcd w = solve(a, loading(a, min_wng_db));
  w /= a.dot(w);  // a^H w; real and positive
  std::copy(w.begin(), w.end(), out.begin());
}

}  // namespace conclave::dsp
