// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/echo_drift.h"

#include <gtest/gtest.h>

#include <random>

namespace conclave::dsp {
namespace {

/// Readings every 40 ms with an error, of a delay that creeps.
void feed(EchoDrift& drift, double seconds, double& delay, double ppm, double error,
          std::mt19937& random) {
  std::normal_distribution<double> normal;
  for (int block = 0; block < static_cast<int>(seconds * 100); ++block) {
    delay += ppm * 1e-8;
    drift.advance();
    if (block % 4 == 0) drift.add(delay + error * normal(random));
  }
}

TEST(EchoDrift, finds_the_clock_within_five_seconds_and_keeps_it_over_a_jump) {
  for (const double ppm : {100.0, -50.0, 20.0}) {
    std::mt19937 random(1);
    EchoDrift drift(0.01);
    double delay = 0.04;
    feed(drift, 5, delay, ppm, 5e-6, random);
    ASSERT_TRUE(drift.known());
    EXPECT_NEAR(drift.ppm(), ppm, 4);
    delay += 0.08;
    drift.jump(0.08);
    feed(drift, 15, delay, ppm, 5e-6, random);
    EXPECT_NEAR(drift.ppm(), ppm, 0.5);
    EXPECT_LT(drift.error_ppm(), 0.5);
  }
}

TEST(EchoDrift, readings_that_lie_on_no_line_tell_nothing) {
  std::mt19937 random(2);
  EchoDrift drift(0.01);
  double delay = 0.04;
  feed(drift, 20, delay, 0, 2e-3, random);
  EXPECT_FALSE(drift.known());
  EXPECT_EQ(drift.ppm(), 0);
}

TEST(EchoDrift, bad_readings_leave_what_was_known) {
  std::mt19937 random(3);
  EchoDrift drift(0.01);
  double delay = 0.04;
  feed(drift, 10, delay, 100, 5e-6, random);
  const double before = drift.ppm();
  feed(drift, 10, delay, 100, 2e-3, random);
  EXPECT_NEAR(drift.ppm(), before, 10);
  drift.reset();
  EXPECT_FALSE(drift.known());
}

}  // namespace
}  // namespace conclave::dsp
