// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_tracker.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace conclave::dsp {
namespace {

constexpr int kBins = 257;

class Source {
 public:
  std::span<const float> frame(double power) {
    for (float& v : x_) {
      const double a = normal_(random_);
      const double b = normal_(random_);
      v = static_cast<float>(0.5 * power * (a * a + b * b));
    }
    return x_;
  }

 private:
  std::mt19937 random_{7};
  std::normal_distribution<double> normal_{0, 1};
  std::vector<float> x_ = std::vector<float>(kBins);
};

double level_db(const NoiseTracker& t) {
  double sum = 0;
  for (const float v : t.noise()) sum += v;
  return 10 * std::log10(sum / kBins);
}

TEST(NoiseTracker, is_there_after_50_ms_and_stays_right) {
  NoiseTracker tracker(kBins, 0.01F);
  Source source;
  for (int t = 0; t < 6; ++t) tracker.update(source.frame(1e-4), true);
  EXPECT_NEAR(level_db(tracker), -40, 1.5);
  for (int t = 0; t < 300; ++t) tracker.update(source.frame(1e-4), true);
  EXPECT_NEAR(level_db(tracker), -40, 1.5);
}

TEST(NoiseTracker, follows_a_rise_and_a_fall) {
  NoiseTracker tracker(kBins, 0.01F);
  Source source;
  for (int t = 0; t < 200; ++t) tracker.update(source.frame(1e-4), true);
  for (int t = 0; t < 300; ++t) tracker.update(source.frame(1e-3), true);
  EXPECT_NEAR(level_db(tracker), -30, 1.5);
  for (int t = 0; t < 100; ++t) tracker.update(source.frame(1e-4), true);
  EXPECT_NEAR(level_db(tracker), -40, 1.5);
}

TEST(NoiseTracker, is_not_taken_in_by_syllables_and_holds_when_told) {
  NoiseTracker tracker(kBins, 0.01F);
  Source source;
  for (int t = 0; t < 500; ++t) tracker.update(source.frame(t % 40 < 20 ? 1e-4 : 1e-2), true);
  EXPECT_NEAR(level_db(tracker), -40, 2.5);
  const double before = level_db(tracker);
  for (int t = 0; t < 500; ++t) tracker.update(source.frame(1e-3), false);
  EXPECT_EQ(level_db(tracker), before);
}

TEST(NoiseTracker, waits_for_sound) {
  NoiseTracker tracker(kBins, 0.01F);
  const std::vector<float> silence(kBins, 0.0F);
  for (int t = 0; t < 50; ++t) tracker.update(silence, true);
  EXPECT_FALSE(tracker.started());
  Source source;
  for (int t = 0; t < 20; ++t) tracker.update(source.frame(1e-4), true);
  EXPECT_NEAR(level_db(tracker), -40, 1.5);
}

}  // namespace
}  // namespace conclave::dsp
