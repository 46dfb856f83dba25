// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/array_geometry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

using simulation::ring;

double index_of(const Geometry& g, double frequency, double* gain = nullptr) {
  std::vector<std::complex<double>> w(g.ring.size());
  const Position look = direction_vector(30, 0);
  superdirective_weights(g.ring, look, frequency, g.speed_of_sound, -6, w);
  if (gain != nullptr) {
    *gain = white_noise_gain_db(w, g.ring, look, frequency, g.speed_of_sound);
  }
  return directivity_index_db(w, g.ring, look, frequency, g.speed_of_sound);
}

TEST(Geometry, refuses_what_no_array_can_be) {
  EXPECT_TRUE(check_geometry(ring(8, 0.09)).ok());
  EXPECT_TRUE(check_geometry(ring(1, 0)).ok());
  EXPECT_FALSE(check_geometry({}).ok());
  EXPECT_FALSE(check_geometry(ring(17, 0.09)).ok());
  EXPECT_FALSE(check_geometry(ring(4, 0)).ok());   // all at one place
  EXPECT_FALSE(check_geometry(ring(4, 90)).ok());  // millimetres taken for metres
  Geometry g = ring(4, 0.05);
  g.ring[2].y = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(check_geometry(g).ok());
  g = ring(4, 0.05);
  g.speed_of_sound = 0;
  EXPECT_FALSE(check_geometry(g).ok());
}

TEST(Geometry, near_field_becomes_far_field) {
  const Geometry g = ring(8, 0.09);
  std::vector<std::complex<double>> near(8);
  std::vector<std::complex<double>> far(8);
  far_field_steering(g.ring, direction_vector(70, 20), 2000, 343, far);
  near_field_steering(g.ring, simulation::at(70, 20, 1000), 2000, 343, near);
  for (std::size_t m = 0; m < 8; ++m) EXPECT_LT(std::abs(near[m] - far[m]), 0.01);
  near_field_steering(g.ring, simulation::at(70, 20, 0.5), 2000, 343, near);
  EXPECT_GT(std::abs(near[0] - far[0]) + std::abs(near[2] - far[2]), 0.05);
}

TEST(Geometry, a_microphone_nearer_to_the_talker_leads) {
  std::vector<std::complex<double>> a(8);
  far_field_steering(ring(8, 0.09).ring, direction_vector(0, 0), 500, 343, a);
  EXPECT_GT(std::arg(a[0]), 0.5);
  EXPECT_LT(std::arg(a[4]), -0.5);
}

// Figures of a solver of another origin with a coarse search for the loading: no worse than that.
TEST(Superdirective, reaches_the_known_directivity) {
  const auto expect = [](const Geometry& g, double frequency, double figure) {
    const double index = index_of(g, frequency);
    EXPECT_GT(index, figure - 0.05) << frequency;
    EXPECT_LT(index, figure + 1.0) << frequency;
  };
  const Geometry large = ring(8, 0.09);
  expect(large, 250, 6.9);
  expect(large, 1000, 10.0);
  expect(large, 4000, 8.8);
  const Geometry small = simulation::small_ring_with_centre();
  expect(small, 250, 5.6);
  expect(small, 1000, 8.6);
  expect(small, 4000, 9.6);
}

TEST(Superdirective, keeps_the_white_noise_gain_at_every_frequency) {
  const Geometry g = ring(8, 0.09);
  for (int bin = 0; bin <= 128; ++bin) {
    const double f = bin * 187.5;
    double gain = -99;
    index_of(g, f, &gain);
    EXPECT_GE(gain, -6.01) << f;
  }
}

}  // namespace
}  // namespace conclave::dsp
