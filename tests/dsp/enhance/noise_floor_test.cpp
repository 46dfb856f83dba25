// SPDX-License-Identifier: Apache-2.0
#include "dsp/enhance/noise_floor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <random>
#include <vector>

#include "base/realtime.h"

namespace conclave::dsp {
namespace {

constexpr int kBins = 257;

class NoiseFloorTest : public testing::Test {
 protected:
  // Gaussian noise of unit power in each bin, `gain` times as loud.
  void feed(int frames, float gain) {
    for (int f = 0; f < frames; ++f) {
      for (auto& bin : frame_[0])
        bin = gain * std::complex<float>(normal_(random_), normal_(random_));
      const realtime::Scope scope;
      floor_.process(frame_);
    }
  }
  double mean_bound() {
    const std::vector<float> noise(kBins, std::numeric_limits<float>::max());
    std::vector<float> out(kBins);
    floor_.limit(noise, out);
    double sum = 0;
    for (const float v : out) sum += static_cast<double>(v);
    return sum / kBins;
  }

  std::mt19937 random_{3};
  std::normal_distribution<float> normal_{0.0F, std::sqrt(0.5F)};
  SpectrumBuffer frame_{1, kBins};
  NoiseFloor floor_{kBins, 0.01F};
};

TEST_F(NoiseFloorTest, is_near_the_noise_itself) {
  feed(400, 1.0F);
  EXPECT_GT(mean_bound(), 0.7);
  EXPECT_LT(mean_bound(), 1.6);
}
TEST_F(NoiseFloorTest, a_call_that_begins_in_the_middle_of_speech_is_right_after_the_first_pause) {
  feed(150, 30.0F);  // 30 dB of speech
  feed(60, 1.0F);
  feed(100, 30.0F);
  EXPECT_LT(mean_bound(), 4.0);
}
TEST_F(NoiseFloorTest, follows_noise_that_rises) {
  feed(300, 1.0F);
  feed(300, 4.0F);
  EXPECT_GT(mean_bound(), 0.7 * 16);
}
TEST_F(NoiseFloorTest, limits_and_never_raises) {
  feed(300, 1.0F);
  const std::vector<float> noise(kBins, 0.01F);
  std::vector<float> out(kBins);
  floor_.limit(noise, out);
  for (const float v : out) EXPECT_FLOAT_EQ(v, 0.01F);
}
TEST_F(NoiseFloorTest, leaves_out_what_is_not_finite) {
  feed(300, 1.0F);
  const double before = mean_bound();
  frame_[0][7] = std::numeric_limits<float>::quiet_NaN();
  floor_.process(frame_);
  EXPECT_DOUBLE_EQ(mean_bound(), before);
  floor_.reset();
  EXPECT_DOUBLE_EQ(mean_bound(), 0.0);
}

}  // namespace
}  // namespace conclave::dsp
